package content

import "math"

// A linear model gives each hashed name a weight, and a bag of names their sum.
type linear struct {
	weights []int8 // a power of two of them
	unit    float32
}

func (l *linear) score(tokens []uint32) float32 {
	mask := uint32(len(l.weights) - 1)
	var sum int32
	for _, t := range tokens {
		sum += int32(l.weights[bucket(t)&mask])
	}
	return float32(sum) * l.unit
}

// bucket mixes a hash, whose low bits depend on the last letters most.
func bucket(h uint32) uint32 {
	h ^= h >> 15
	h *= 0x2c1b3c6d
	return h ^ h>>12
}

// quantised returns the weights in steps of a byte.
func quantised(weights []float32) linear {
	var most float32
	for _, w := range weights {
		most = max(most, float32(math.Abs(float64(w))))
	}
	l := linear{weights: make([]int8, len(weights)), unit: most / 127}
	if most == 0 {
		return l
	}
	for i, w := range weights {
		l.weights[i] = int8(math.Round(float64(w / l.unit)))
	}
	return l
}
