package tag

// Features, words and lexicon entries are known to a model by 32-bit hashes
// only. The functions of this file define those hashes, so changing one of
// them makes every model file useless: raise formatVersion when you do.

const (
	hashSeed = 0x9E3779B97F4A7C15
	hashMul  = 0xFF51AFD7ED558CCD
	hashMul2 = 0xC4CEB9FE1A85EC53
)

// hashByte adds one byte to a running hash.
func hashByte(h uint64, b byte) uint64 {
	return (h ^ uint64(b)) * 0x00000100000001B3
}

// hashEnd spreads a running hash over all bits and keeps 32 of them.
func hashEnd(h uint64) uint32 {
	h ^= h >> 32
	h *= hashMul
	return uint32(h >> 32)
}

// key1 is the key of a feature with one part.
func key1(template, a uint32) uint32 {
	h := (uint64(template)<<32 | uint64(a)) * hashMul
	h ^= h >> 29
	h *= hashMul2
	return uint32(h >> 32)
}

// key2 is the key of a feature with two parts.
func key2(template, a, b uint32) uint32 {
	h := (uint64(a)<<32 | uint64(b)) * hashMul
	h ^= h >> 29
	h += uint64(template) * hashSeed
	h *= hashMul2
	return uint32(h >> 32)
}

// key3 is the key of a feature with three parts.
func key3(template, a, b, c uint32) uint32 {
	h := (uint64(a)<<32 | uint64(b)) * hashMul
	h ^= h >> 29
	h += uint64(template)*hashSeed + uint64(c)
	h *= hashMul2
	h ^= h >> 31
	h *= hashMul
	return uint32(h >> 32)
}
