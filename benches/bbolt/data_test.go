package main

import (
	"encoding/hex"
	"testing"
)

// The same stand in the tests of benches/src/engines/data.rs: all contenders get the same bytes.
func TestKeysAndValuesAreThoseOfTheOthers(t *testing.T) {
	for _, wanted := range []struct {
		shape, ascending, random, value string
	}{
		{
			"24+150",
			"00000000000f424167b5d1fb24d1ce381ed7826871e75b7c",
			"cc79d960fa6f5abf67b5d1fb24d1ce381ed7826871e75b7c",
			"52d72527ca44bfdd",
		},
		{
			"40+256",
			"2f72656769737472792f706f64732f64656661756c742f7030303030303030303030306634323431",
			"2f72656769737472792f706f64732f64656661756c742f7063633739643936306661366635616266",
			"bed1c275088ed1f1",
		},
	} {
		d, err := newData(wanted.shape)
		if err != nil {
			t.Fatal(err)
		}
		var buffer [longestKey]byte
		for _, got := range []struct{ what, wanted, got string }{
			{"ascending key", wanted.ascending, hex.EncodeToString(d.key(&buffer, true, 1_000_001))},
			{"random key", wanted.random, hex.EncodeToString(d.key(&buffer, false, 1_000_001))},
			{"value", wanted.value, hex.EncodeToString(d.value(1_000_001)[:8])},
		} {
			if got.got != got.wanted {
				t.Errorf("%s, %s: %s instead of %s", wanted.shape, got.what, got.got, got.wanted)
			}
		}
	}
}
