package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/bbolt"
)

// How much a phase does: see benches/src/engines/phase.rs.
const (
	reads       = 1_000_000
	scans       = 500_000
	scanEntries = 10
	commits     = 1_000
	batches     = 100
	batchPuts   = 1_000
)

// Puts of one transaction of a load: a part of what is there already, within these bounds. More would be slow, since all
// new keys of a page are kept in one sorted array until the commit.
const (
	leastLoadPuts = 1_000
	mostLoadPuts  = 100_000
)

var bucketName = []byte("bench")

// bench is bbolt at work.
type bench struct {
	data   *data
	folder string
	keys   uint64
	db     *bbolt.DB
	// Numbers of the keys that are there: from first on, before last.
	first, last uint64
	salt        uint64
}

// opening opens the database and reads the first key, if there should be one.
func (b *bench) opening() (cost, error) {
	c, err := costOf(func() (uint64, error) {
		var err error
		if b.db, err = open(b.folder); err != nil || b.last == 0 {
			return 1, err
		}
		return 1, b.db.View(func(tx *bbolt.Tx) error {
			var buffer [longestKey]byte
			return b.get(tx.Bucket(bucketName), &buffer, 0)
		})
	})
	if err == nil {
		c.bytes, err = diskBytes(b.folder)
	}
	return c, err
}

func open(folder string) (*bbolt.DB, error) {
	db, err := bbolt.Open(filepath.Join(folder, "db"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	return db, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketName)
		return err
	})
}

func (b *bench) run(phase string) (cost, error) {
	b.salt = mix(b.salt)
	var work func() (uint64, error)
	switch phase {
	case "load-ascending":
		return b.loadAscending(bbolt.DefaultFillPercent)
	case "load-append":
		return b.loadAscending(1)
	case "load-random":
		work = func() (uint64, error) {
			numbers := b.last
			b.last += b.keys
			return b.keys, b.load(b.db, false, numbers, b.keys, bbolt.DefaultFillPercent)
		}
	case "gets":
		work = func() (uint64, error) { return b.gets(0) }
	case "gets-two-threads":
		work = b.getsOfTwo
	case "gets-txn":
		work = b.getsInTransactions
	case "short-scans":
		work = b.shortScans
	case "full-scan":
		work = b.fullScan
	case "commits":
		work = func() (uint64, error) { return commits, b.insertMany(commits, 1) }
	case "batches":
		work = func() (uint64, error) { return batches * batchPuts, b.insertMany(batches, batchPuts) }
	case "delete-batches":
		work = b.deleteBatches
	case "deletes":
		work = func() (uint64, error) { return b.keys / 2, b.remove(b.keys / 2) }
	case "endless":
		work = func() (uint64, error) { return 0, b.insertMany(1<<40, batchPuts) }
	default:
		return cost{}, fmt.Errorf("no such phase: %q", phase)
	}
	c, err := costOf(work)
	if err == nil {
		c.bytes, err = diskBytes(b.folder)
	}
	return c, err
}

func (b *bench) loadAscending(fill float64) (cost, error) {
	folder := filepath.Join(b.folder, "ascending")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return cost{}, err
	}
	defer os.RemoveAll(folder)
	db, err := open(folder)
	if err != nil {
		return cost{}, err
	}
	defer db.Close()
	c, err := costOf(func() (uint64, error) { return b.keys, b.load(db, true, 0, b.keys, fill) })
	if err == nil {
		c.bytes, err = diskBytes(folder)
	}
	return c, err
}

// load puts many keys in several transactions, and syncs once at the end.
func (b *bench) load(db *bbolt.DB, ascending bool, from, count uint64, fill float64) error {
	db.NoSync = true
	defer func() { db.NoSync = false }()
	for done := uint64(0); done < count; {
		puts := min(max(done/4, leastLoadPuts), mostLoadPuts, count-done)
		err := db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(bucketName)
			bucket.FillPercent = fill
			return b.put(bucket, ascending, from+done, puts)
		})
		if err != nil {
			return err
		}
		done += puts
	}
	return db.Sync()
}

func (b *bench) put(bucket *bbolt.Bucket, ascending bool, from, count uint64) error {
	var buffer [longestKey]byte // the bucket keeps a copy of its own
	for number := from; number < from+count; number++ {
		if err := bucket.Put(b.data.key(&buffer, ascending, number), b.data.value(number)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) insertMany(times, puts uint64) error {
	for range times {
		number := b.last
		b.last += puts
		err := b.db.Update(func(tx *bbolt.Tx) error {
			return b.put(tx.Bucket(bucketName), false, number, puts)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// choose returns the number of a random key that is there.
func (b *bench) choose(thread, turn uint64) uint64 {
	return b.first + mix(b.salt^thread<<56^turn)%(b.last-b.first)
}

func (b *bench) get(bucket *bbolt.Bucket, buffer *[longestKey]byte, number uint64) error {
	value, expected := bucket.Get(b.data.key(buffer, false, number)), b.data.value(number)
	if len(value) != len(expected) || value[0] != expected[0] {
		return fmt.Errorf("key %d: not what was put", number)
	}
	return nil
}

func (b *bench) gets(thread uint64) (uint64, error) {
	count := min(reads, b.keys)
	return count, b.db.View(func(tx *bbolt.Tx) error {
		var buffer [longestKey]byte
		bucket := tx.Bucket(bucketName)
		for turn := range count {
			if err := b.get(bucket, &buffer, b.choose(thread, turn)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) getsOfTwo() (uint64, error) {
	var group sync.WaitGroup
	var counts [2]uint64
	var errs [2]error
	for thread := range counts {
		group.Add(1)
		go func() {
			defer group.Done()
			counts[thread], errs[thread] = b.gets(uint64(thread))
		}()
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return counts[0] + counts[1], nil
}

func (b *bench) getsInTransactions() (uint64, error) {
	count := min(reads, b.keys)
	var buffer [longestKey]byte
	for turn := range count {
		err := b.db.View(func(tx *bbolt.Tx) error {
			return b.get(tx.Bucket(bucketName), &buffer, b.choose(0, turn))
		})
		if err != nil {
			return 0, err
		}
	}
	return count, nil
}

// Where sums of what was read go, so that nobody finds the reading needless.
var sink uint64

func (b *bench) shortScans() (uint64, error) {
	count := min(scans, b.keys)
	return count, b.db.View(func(tx *bbolt.Tx) error {
		var buffer [longestKey]byte
		for turn := range count {
			// A cursor from the bucket for each scan, as an iterator for each elsewhere.
			cursor := tx.Bucket(bucketName).Cursor()
			key, value := cursor.Seek(b.data.key(&buffer, false, b.choose(0, turn)))
			if key == nil {
				return fmt.Errorf("a scan from a key that is there shows nothing")
			}
			for shown := 0; key != nil; {
				sink += uint64(value[0])
				if shown++; shown == scanEntries {
					break
				}
				key, value = cursor.Next()
			}
		}
		return nil
	})
}

func (b *bench) fullScan() (uint64, error) {
	var shown uint64
	err := b.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucketName).Cursor()
		for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
			sink += uint64(value[0])
			shown++
		}
		return nil
	})
	if err == nil && shown != b.last-b.first {
		err = fmt.Errorf("%d entries instead of %d", shown, b.last-b.first)
	}
	return shown, err
}

func (b *bench) remove(count uint64) error {
	from := b.first
	b.first += count
	return b.db.Update(func(tx *bbolt.Tx) error {
		var buffer [longestKey]byte
		bucket := tx.Bucket(bucketName)
		for number := from; number < from+count; number++ {
			if err := bucket.Delete(b.data.key(&buffer, false, number)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) deleteBatches() (uint64, error) {
	puts := min(batchPuts, b.keys/4/batches)
	for range batches {
		if err := b.remove(puts); err != nil {
			return 0, err
		}
	}
	return batches * puts, nil
}
