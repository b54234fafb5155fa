package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func (a *app) serveCommand() *cobra.Command {
	var f listenFlags
	var dir, files string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Offer a crawl's store to workers on other machines",
		Long: `Serve opens a folder, or a database, and offers its store over the network, to
'weir work' and to all commands with --server. It crawls nothing itself: 'weir crawl
--server URL' begins a crawl there, and 'weir crawl --listen' does both in one process.

Of several processes that serve one database one leads; the others stand by, say so to
those who ask, and take over.

Whoever has a token may use it. Without --tokens one for each role is made, in the file
` + tokensFile + ` of the folder: read may look, work may also work, admin may do everything.`,
		Example: `  weir serve
  weir serve --dir docs --listen 0.0.0.0:7420 --tls-cert cert.pem --tls-key key.pem
  weir crawl --server http://127.0.0.1:7420 --token-file weir-data/TOKENS https://example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := parsePlace(dir, files)
			if err != nil {
				return err
			}
			if p.server != "" {
				return usagef("%s is a server already", p.name)
			}
			con := newConsole(a.tty)
			logger, closeLog, err := (&logFlags{}).open(con, verbose)
			if err != nil {
				return err
			}
			err = a.leadOffering(cmd.Context(), p, &f, con, logger, func(ctx context.Context, l *live, _ bool) error {
				con.printf("Serving %s.", l.dir)
				<-ctx.Done()
				return nil
			})
			return errors.Join(err, closeLog())
		},
	}
	cmd.Flags().StringVar(&dir, "dir", defaultDir, dirDoc+"; made if it does not exist")
	cmd.Flags().StringVar(&files, "files", "", "folder for "+tokensFile+" (default --dir; of a database weir-files/DATABASE.SCHEMA)")
	f.add(cmd.Flags(), defaultListen)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "say more about what happens")
	return cmd
}
