// Checks histories of calls for linearizability with Porcupine. Reads one history a line, a JSON array of calls, and
// prints one verdict a line: Ok, Illegal or Unknown.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

type seenKey struct {
	Value          string
	CreateRevision int64
	ModRevision    int64
	Version        int64
}

type compare struct {
	Key     string
	Target  string
	Result  string
	Operand json.RawMessage
}

type step struct {
	Type  string
	Key   string
	Value string
}

type stepResult struct {
	Deleted *int
	Kv      *seenKey
}

type output struct {
	Revision  int64
	Succeeded bool
	Results   []stepResult
}

type call struct {
	Client     int
	CalledAt   float64
	ReturnedAt *float64
	Compares   []compare
	Success    []step
	Failure    []step
	Output     *output
}

// A revision of 0 is unknown, because the call that wrote it has no answer; it is above After.
type key struct {
	seenKey
	After int64
}

type state struct {
	revision int64
	keys     map[string]key
}

var model = porcupine.Model{
	Init: func() interface{} { return state{0, map[string]key{}} },
	Step: func(before, input, _ interface{}) (bool, interface{}) {
		after, ok := next(before.(state), input.(call))
		return ok, after
	},
	Equal: func(a, b interface{}) bool { return equal(a.(state), b.(state)) },
	DescribeOperation: func(input, _ interface{}) string {
		text, _ := json.Marshal(input)
		return string(text)
	},
}

func equal(a, b state) bool {
	if a.revision != b.revision || len(a.keys) != len(b.keys) {
		return false
	}
	for name, one := range a.keys {
		other, there := b.keys[name]
		if one.ModRevision != 0 {
			one.After, other.After = 0, 0
		}
		if !there || one != other {
			return false
		}
	}
	return true
}

// next returns the state after a call, and whether the store could have answered so.
func next(before state, c call) (state, bool) {
	keys := make(map[string]key, len(before.keys))
	for name, k := range before.keys {
		keys[name] = k
	}
	succeeded := true
	for _, each := range c.Compares {
		if !holds(before, keys, each, c.Output) {
			succeeded = false
			break
		}
	}
	steps := c.Failure
	if succeeded {
		steps = c.Success
	}
	revision := int64(0)
	if c.Output != nil {
		if c.Output.Succeeded != succeeded || len(c.Output.Results) != len(steps) {
			return before, false
		}
		revision = c.Output.Revision
	}
	writes := false
	for i, each := range steps {
		var result *stepResult
		if c.Output != nil {
			result = &c.Output.Results[i]
		}
		wrote, possible := apply(keys, each, revision, before.revision, result)
		if !possible {
			return before, false
		}
		writes = writes || wrote
	}
	if c.Output == nil {
		if writes {
			return state{before.revision + 1, keys}, true
		}
		return state{before.revision, keys}, true
	}
	if revision < before.revision || (writes && revision == before.revision) {
		return before, false
	}
	return state{revision, keys}, true
}

func apply(keys map[string]key, s step, revision, after int64, result *stepResult) (writes, possible bool) {
	old, there := keys[s.Key]
	switch s.Type {
	case "put":
		created := revision
		if there {
			created = old.CreateRevision
		}
		keys[s.Key] = key{seenKey{s.Value, created, revision, old.Version + 1}, after}
		return true, true
	case "delete":
		if result != nil && result.Deleted != nil && (*result.Deleted == 1) != there {
			return false, false
		}
		delete(keys, s.Key)
		return there, true
	default:
		return false, result == nil || matches(keys, s.Key, result.Kv)
	}
}

func matches(keys map[string]key, name string, seen *seenKey) bool {
	old, there := keys[name]
	if !there || seen == nil {
		return !there && seen == nil
	}
	if old.Value != seen.Value || old.Version != seen.Version {
		return false
	}
	if old.ModRevision == 0 && seen.ModRevision <= old.After || old.ModRevision != 0 && old.ModRevision != seen.ModRevision {
		return false
	}
	if old.CreateRevision != 0 && old.CreateRevision != seen.CreateRevision {
		return false
	}
	if seen.Version > 1 && seen.CreateRevision >= seen.ModRevision || seen.Version == 1 && seen.CreateRevision != seen.ModRevision {
		return false
	}
	keys[name] = key{*seen, old.After}
	return true
}

func holds(before state, keys map[string]key, c compare, out *output) bool {
	found, there := before.keys[c.Key]
	if c.Target == "value" {
		var operand string
		must(json.Unmarshal(c.Operand, &operand))
		return there && compared(strings.Compare(found.Value, operand), c.Result)
	}
	var operand int64
	must(json.Unmarshal(c.Operand, &operand))
	actual := found.Version
	switch c.Target {
	case "createRevision":
		actual = found.CreateRevision
	case "modRevision":
		actual = found.ModRevision
	}
	if there && actual == 0 {
		if c.Target == "modRevision" && c.Result == "=" && out != nil && out.Succeeded {
			if operand <= found.After {
				return false
			}
			found.ModRevision = operand
			keys[c.Key] = found
			return true
		}
		actual = math.MaxInt64
	}
	switch {
	case actual < operand:
		return compared(-1, c.Result)
	case actual > operand:
		return compared(1, c.Result)
	}
	return compared(0, c.Result)
}

func compared(order int, result string) bool {
	switch result {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	}
	return order > 0
}

func operations(calls []call) []porcupine.Operation {
	list := make([]porcupine.Operation, len(calls))
	for i, c := range calls {
		returned := int64(math.MaxInt64)
		if c.ReturnedAt != nil {
			returned = int64(*c.ReturnedAt * 1000)
		}
		list[i] = porcupine.Operation{ClientId: c.Client, Input: c, Call: int64(c.CalledAt * 1000), Return: returned}
	}
	return list
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	decoder := json.NewDecoder(lines)
	for decoder.More() {
		var calls []call
		must(decoder.Decode(&calls))
		fmt.Println(porcupine.CheckOperationsTimeout(model, operations(calls), time.Minute))
	}
}
