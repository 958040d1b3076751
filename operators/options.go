// SPDX-License-Identifier: Apache-2.0

package operators

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/macro"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"

	"github.com/mlverdict/mlverdict/model"
)

// modelDataset is the data set whose first line is the path of the model.
const modelDataset = "ml-verdict-model"

// parseArguments takes "THRESHOLD [model=PATH]" apart. The path may hold blanks.
func parseArguments(arguments string) (threshold macro.Macro, modelPath string, err error) {
	limit, rest, _ := strings.Cut(strings.TrimSpace(arguments), " ")
	if limit == "" || strings.HasPrefix(limit, "model=") {
		return nil, "", fmt.Errorf("operators: @detectAnomaly %s: the threshold is missing (want THRESHOLD [model=PATH])",
			arguments)
	}
	if rest = strings.TrimSpace(rest); rest != "" {
		var ok bool
		if modelPath, ok = strings.CutPrefix(rest, "model="); !ok || modelPath == "" {
			return nil, "", fmt.Errorf("operators: @detectAnomaly: argument %q is not known (want THRESHOLD [model=PATH])", rest)
		}
	}
	if !strings.Contains(limit, "%{") {
		if _, err := parseThreshold(limit, "threshold"); err != nil {
			return nil, "", fmt.Errorf("operators: @detectAnomaly: %w", err)
		}
	}
	if threshold, err = macro.NewMacro(limit); err != nil {
		return nil, "", fmt.Errorf("operators: @detectAnomaly: threshold %q: %w", limit, err)
	}
	return threshold, modelPath, nil
}

// parseThreshold reads a score; name tells in an error whose it is.
func parseThreshold(text, name string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < model.MinScore || n > model.MaxScore {
		return 0, fmt.Errorf("%s is %.40q: want a number from %d to %d", name, text, model.MinScore, model.MaxScore)
	}
	return n, nil
}

// chooseModel finds the model: by path, by data set, or the embedded one.
func chooseModel(modelPath string, options plugintypes.OperatorOptions) (*model.Model, error) {
	setting := "model="
	if modelPath == "" {
		lines, ok := options.Datasets[modelDataset]
		if !ok {
			return model.Default(), nil
		}
		if len(lines) != 1 {
			return nil, fmt.Errorf("operators: @detectAnomaly: SecDataset %s holds %d lines: want one, the path of a model file",
				modelDataset, len(lines))
		}
		setting = "SecDataset " + modelDataset + " "
		modelPath = lines[0]
	}
	m, err := loadModel(modelPath, options)
	if err != nil {
		return nil, fmt.Errorf("operators: @detectAnomaly: %s%s: %w (name a file that mlverdict train wrote, by its"+
			" absolute path, or leave the setting out for the embedded model)", setting, modelPath, err)
	}
	return m, nil
}

// loadModel reads a model file. WAFs that use the same model share it.
func loadModel(modelPath string, options plugintypes.OperatorOptions) (*model.Model, error) {
	content, err := readFile(modelPath, options)
	if err != nil {
		return nil, err
	}
	if options.Memoizer == nil {
		return model.Read(content)
	}
	digest := sha256.Sum256(content)
	m, err := options.Memoizer.Do("mlverdict/model/"+hex.EncodeToString(digest[:]), func() (any, error) {
		return model.Read(content)
	})
	if err != nil {
		return nil, err
	}
	return m.(*model.Model), nil
}

// readFile opens a path as it is, so that a file system merged into the WAF's root can hold models, and then, as
// Coraza's own operators do, in the folder of the rule file and in the working directory.
func readFile(name string, options plugintypes.OperatorOptions) (content []byte, err error) {
	if options.Root == nil {
		return nil, errors.New("the WAF has no file system")
	}
	content, err = readModel(options.Root, name)
	if err == nil || path.IsAbs(name) {
		return content, err
	}
	for _, dir := range options.Path {
		content, elsewhere := readModel(options.Root, path.Join(dir, name))
		if elsewhere == nil {
			return content, nil
		}
	}
	return nil, err
}

func readModel(root fs.FS, name string) ([]byte, error) {
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return model.ReadFile(file)
}
