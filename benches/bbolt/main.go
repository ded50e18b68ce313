// The process of bbolt among the engines that `benches/engines` compares.
//
// It takes the arguments and speaks the lines of the process of a contender in Rust (benches/src/engines/contender.rs):
// the name of a phase on standard input, a line of figures on standard output. Keys and values are those of
// benches/src/engines/data.rs.
//
// bbolt runs with its defaults: a commit is two syncs, of the pages and of the meta page, and writes the list of free
// pages. Since it splits pages only at the commit, a load goes in several transactions, of which the last is synced.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cost is what a phase has taken.
type cost struct {
	wall, cpu  time.Duration
	operations uint64
	bytes      uint64
}

// String is the line that benches/src/engines/cost.rs reads. The longest step, which it also has, is not told.
func (c cost) String() string {
	return fmt.Sprintf("ok %d %d %d 0 %d %d", c.wall.Nanoseconds(), c.cpu.Nanoseconds(), c.operations, c.bytes, anonymousBytes())
}

// costOf runs work, which returns how many operations it was.
func costOf(work func() (uint64, error)) (cost, error) {
	start, cpu := time.Now(), cpuTime()
	operations, err := work()
	return cost{wall: time.Since(start), cpu: cpuTime() - cpu, operations: operations}, err
}

// cpuTime is the processor time of this process so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// diskBytes counts blocks, so that holes do not count.
func diskBytes(folder string) (uint64, error) {
	var bytes uint64
	err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			bytes += uint64(stat.Blocks) * 512
		}
		return nil
	})
	return bytes, err
}

// anonymousBytes is what this process has allocated.
func anonymousBytes() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		var kib uint64
		if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &kib); err == nil {
			return kib * 1024
		}
	}
	return 0
}

func answer(c cost, err error) {
	if err != nil {
		fmt.Printf("error %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Println(c)
}

func main() {
	// The first argument is the name of the subcommand of the program in Rust.
	flags := flag.NewFlagSet("bbolt", flag.ExitOnError)
	flags.String("name", "bbolt", "the contender")
	folder := flags.String("folder", "", "where the files are")
	shape := flags.String("shape", "", "keys and values: 24+150 or 40+256")
	keys := flags.Uint64("keys", 0, "keys that are loaded")
	loaded := flags.Bool("loaded", false, "whether they have been loaded before")
	if len(os.Args) < 2 || flags.Parse(os.Args[2:]) != nil {
		os.Exit(2)
	}
	made, err := newData(*shape)
	if err != nil {
		answer(cost{}, err)
		os.Exit(1)
	}
	b := &bench{data: made, folder: *folder, keys: *keys}
	if *loaded {
		b.last = *keys
	}
	answer(b.opening())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer(b.run(lines.Text()))
	}
}
