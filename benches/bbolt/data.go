package main

import (
	"encoding/binary"
	"fmt"
)

const (
	poolBytes  = 1 << 18
	longestKey = 40
	registry   = "/registry/pods/default/p"
)

// data makes keys and values: see benches/src/engines/data.rs, whose bytes these are.
type data struct {
	registry   bool
	valueBytes uint64
	pool       []byte
}

func newData(shape string) (*data, error) {
	d := &data{pool: make([]byte, 0, poolBytes)}
	for n := uint64(0); n < poolBytes/8; n++ {
		d.pool = binary.LittleEndian.AppendUint64(d.pool, mix(n))
	}
	switch shape {
	case "24+150":
		d.valueBytes = 150
	case "40+256":
		d.registry, d.valueBytes = true, 256
	default:
		return nil, fmt.Errorf("no shape of keys and values: %q", shape)
	}
	return d, nil
}

// key writes the key of a number into buffer and returns it.
func (d *data) key(buffer *[longestKey]byte, ascending bool, number uint64) []byte {
	mixed := mix(number)
	first := mixed
	if ascending {
		first = number
	}
	if !d.registry {
		binary.BigEndian.PutUint64(buffer[0:], first)
		binary.BigEndian.PutUint64(buffer[8:], mix(mixed))
		binary.BigEndian.PutUint64(buffer[16:], mix(^mixed))
		return buffer[:24]
	}
	start := copy(buffer[:], registry)
	for place := range buffer[start:] {
		buffer[start+place] = "0123456789abcdef"[first>>(60-4*place)&15]
	}
	return buffer[:]
}

// value returns the value of a number.
func (d *data) value(number uint64) []byte {
	start := mix(^number) % (poolBytes - d.valueBytes)
	return d.pool[start : start+d.valueBytes]
}

// mix is the finish of SplitMix64.
func mix(number uint64) uint64 {
	z := number + 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
