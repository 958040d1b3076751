// SPDX-License-Identifier: Apache-2.0

package rivals

import (
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/google/renameio/v2"

	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
)

// outsiders are the rivals that scripts/one_class.py trains, in the order of its columns.
var outsiders = []scoreboard.Described{
	{Name: "ocsvm", Doc: "one-class SVM on the model's features (scikit-learn, scripts/one_class.py)"},
	{Name: "autoencoder", Doc: "autoencoder on the model's features (scikit-learn, scripts/one_class.py)"},
}

// Export writes what scripts/one_class.py reads: train.csv and attacks.csv, a level and a vector each line, and
// judge.csv, a level, a request's digest and a vector, for every tuning and test request that CRS denies.
func Export(dir string, d *scoreboard.Data, m *model.Model, material *Material) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	normal, attacks, err := material.Vectors(m)
	if err != nil {
		return err
	}
	for name, byLevel := range map[string][scoreboard.Levels][][]float32{"train.csv": normal, "attacks.csv": attacks} {
		err := writeCSV(filepath.Join(dir, name), func(write func(level int, key string, vector []float32)) {
			for i, vectors := range byLevel {
				for _, v := range vectors {
					write(i+1, "", v)
				}
			}
		})
		if err != nil {
			return err
		}
	}
	x := m.Parts().Extractor()
	return writeCSV(filepath.Join(dir, "judge.csv"), func(write func(level int, key string, vector []float32)) {
		var s features.Scratch
		for _, side := range [][]scoreboard.Sample{d.Tuning, d.Test} {
			for i := range side {
				digest := side[i].Digest()
				for level := 1; level <= scoreboard.Levels; level++ {
					if side[i].Flagged(level) {
						v := side[i].View.AtParanoia(level)
						x.Extract(&s, &v)
						write(level, hex.EncodeToString(digest[:]), s.Vector)
					}
				}
			}
		}
	})
}

func writeCSV(path string, rows func(write func(level int, key string, vector []float32))) error {
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer file.Cleanup()
	w := csv.NewWriter(file)
	rows(func(level int, key string, vector []float32) {
		record := []string{strconv.Itoa(level)}
		if key != "" {
			record = append(record, key)
		}
		for _, f := range vector {
			record = append(record, strconv.FormatFloat(float64(f), 'g', -1, 32))
		}
		w.Write(record) // Flush keeps the error
	})
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}

// judgement is a request at a paranoia level.
type judgement struct {
	digest string
	level  int
}

// Outsiders reads the scores that scripts/one_class.py wrote.
func Outsiders(path string) ([]scoreboard.Contender, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("rivals: %w (scripts/one_class.py writes it)", err)
	}
	defer file.Close()
	scores := make([]map[judgement]float64, len(outsiders))
	for i := range scores {
		scores[i] = map[judgement]float64{}
	}
	rows := csv.NewReader(file)
	rows.FieldsPerRecord = 2 + len(outsiders)
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("rivals: %s: %w", path, err)
		}
		level, err := strconv.Atoi(row[0])
		if err != nil {
			return nil, fmt.Errorf("rivals: %s: %w", path, err)
		}
		for i := range outsiders {
			if scores[i][judgement{row[1], level}], err = strconv.ParseFloat(row[2+i], 64); err != nil {
				return nil, fmt.Errorf("rivals: %s: %w", path, err)
			}
		}
	}
	var list []scoreboard.Contender
	for i, described := range outsiders {
		list = append(list, scoreboard.Contender{Described: described, NewJudge: func() scoreboard.Judge {
			return func(s *scoreboard.Sample, level int) float64 {
				digest := s.Digest()
				score, known := scores[i][judgement{hex.EncodeToString(digest[:]), level}]
				if !known {
					return math.Inf(1) // written for other data: nothing is let through unseen
				}
				return score
			}
		}})
	}
	return list, nil
}
