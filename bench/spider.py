import json
import sys

import scrapy


class Spider(scrapy.Spider):
    name = "bench"
    custom_settings = {
        "LOG_LEVEL": "ERROR",
        "ROBOTSTXT_OBEY": False,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
        "TELNETCONSOLE_ENABLED": False,
        "DOWNLOAD_DELAY": 0,
    }

    def start_requests(self):
        self.pages = 0
        yield scrapy.Request(self.seed)

    def parse(self, response):
        self.pages += 1
        for href in response.css("a::attr(href)").getall():
            yield response.follow(href, self.parse)

    def closed(self, reason):
        json.dump({"Pages": self.pages, "Unique": self.pages}, sys.stdout)
