// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/mlverdict/mlverdict/internal/replay"
)

// searchFormat changes whenever the search does, or a mutator.
const searchFormat = "1"

// Searches keeps finished searches in a file of JSON lines, so that a run that was stopped goes on where it was. A search
// against CRS alone knows no model, so that it serves every one. It is safe for concurrent use.
type Searches struct {
	file *os.File
	mu   sync.Mutex
	done map[searchKey]result
	torn error // why the last line may not be whole: nothing can follow it
}

// searchKey is all that a search depends on.
type searchKey struct {
	Format string `json:"adversarial"`
	Defence
	Seed    uint64 `json:"seed"`
	Source  int    `json:"source"` // the attack's place in the list, which is part of its random source
	Budget  int    `json:"budget"`
	Attack  string `json:"attack"`  // digest of its class and payload
	Modules string `json:"modules"` // Coraza and CRS
	Model   string `json:"model,omitempty"`
}

// result is how a search ended.
type result struct {
	Queries int     `json:"queries"`
	Passed  *passed `json:"passed,omitempty"` // nil = nothing did
}

// passed is what a defence did not deny.
type passed struct {
	Payload   []byte   `json:"payload"` // any bytes, which JSON's strings do not keep
	Mutators  []string `json:"mutators,omitempty"`
	CRSDenies bool     `json:"crs_denies"`
	CRS       int      `json:"crs_score"`
	Score     int      `json:"score,omitempty"`
}

// line is a search as it stands in the file.
type line struct {
	searchKey
	result
}

// OpenSearches opens a file of finished searches, and makes it where there is none. What a run that was killed left
// unfinished at its end is cut off; a file of anything else is an error and stays as it is.
func OpenSearches(path string) (*Searches, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600) // it quotes payloads
	if err != nil {
		return nil, fmt.Errorf("robustness: %w", err)
	}
	s := &Searches{file: file, done: map[searchKey]result{}}
	if err := s.read(); err != nil {
		file.Close()
		return nil, fmt.Errorf("robustness: searches: %w", err)
	}
	return s, nil
}

// lineStart is how every line of the file starts.
const lineStart = `{"adversarial":"`

func (s *Searches) read() error {
	content, err := io.ReadAll(s.file)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(content, '\n') + 1
	for i, text := range bytes.SplitAfter(content[:whole], []byte("\n")) {
		if len(text) == 0 { // after the last line
			break
		}
		var l line
		in := json.NewDecoder(bytes.NewReader(text))
		in.DisallowUnknownFields()
		if err := in.Decode(&l); err != nil || l.Format == "" || l.Queries == 0 {
			return s.foreign(i + 1)
		}
		s.done[l.searchKey] = l.result
	}
	rest := string(content[whole:])
	if !strings.HasPrefix(rest, lineStart) && !strings.HasPrefix(lineStart, rest) {
		return s.foreign(bytes.Count(content, []byte("\n")) + 1)
	}
	return s.file.Truncate(int64(whole))
}

func (s *Searches) foreign(line int) error {
	return fmt.Errorf("%s:%d: not a search of mlverdict robustness adversarial (want a file that it began, or a new one)", s.file.Name(), line)
}

// Close closes the file.
func (s *Searches) Close() error { return s.file.Close() }

// find returns a finished search. Without a file there is none.
func (s *Searches) find(key searchKey) (result, bool) {
	if s == nil {
		return result{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.done[key]
	return r, ok
}

// add writes a finished search down at once. Without a file it does nothing.
func (s *Searches) add(key searchKey, r result) error {
	if s == nil {
		return nil
	}
	text, err := json.Marshal(line{key, r})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.torn == nil {
		s.done[key] = r
		if _, err := s.file.Write(append(text, '\n')); err != nil {
			s.torn = fmt.Errorf("robustness: searches: %w", err)
		}
	}
	return s.torn
}

// key is that of the search for an attack.
func (s *Adversarial) key(d Defence, i int) searchKey {
	attack := s.Attacks[i]
	digest := sha256.Sum256([]byte(attack.Class + "\x00" + attack.Payload))
	key := searchKey{Format: searchFormat, Defence: d, Seed: s.Seed, Source: i, Budget: s.Budget, Attack: hex.EncodeToString(digest[:]),
		Modules: strings.Join(replay.Modules(), " ")}
	if d.Second {
		key.Model = s.Model.ID()
	}
	return key
}
