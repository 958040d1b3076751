// SPDX-License-Identifier: Apache-2.0

package training

import (
	"bufio"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mlverdict/mlverdict/model/evidence"
)

// lexicon is a word list of CRS with the texts in which an attack shows its words; %s is the word.
type lexicon struct {
	file  string
	class evidence.Class
	forms []string
}

// Payload lists hold few attacks on PHP, Java and shells. CRS's own word lists say what words such attacks use; put
// into the shortest text that means harm, they teach the chains the words' surroundings too.
var lexicons = []lexicon{
	{"java-classes.data", evidence.Java, []string{"%s", "${%s}", "%s()"}},
	{"lfi-os-files.data", evidence.LFI, []string{"/%s", "../../%s"}},
	{"restricted-files.data", evidence.LFI, []string{"/%s"}},
	{"php-function-names-933150.data", evidence.PHP, []string{"%s(", "<?php %s(1);", "%s('a')"}},
	{"php-variables.data", evidence.PHP, []string{"%s", "%s['a']"}},
	{"unix-shell.data", evidence.RCE, []string{"/%s", ";%s ", "|%s", "|| %s a", "&& %s -a /b",
		"$(%s)", "`%s`", "$(%s a)", "%s $((1+2))", "';%s a;'"}},
	{"windows-powershell-commands.data", evidence.RCE, []string{"%s", "powershell -c %s -a"}},
	{"ssrf.data", evidence.Other, []string{"%s"}},
}

// AddLexicon takes attack texts made of the word lists of CRS, which lie in a file system as coreruleset.FS.
func (c *Corpus) AddLexicon(crs fs.FS) error {
	for _, l := range lexicons {
		words, err := l.words(crs)
		if err != nil {
			return err
		}
		for _, word := range words {
			for _, form := range l.forms {
				text := word
				if !strings.HasPrefix(form, "/") { // a path is a word of its own; elsewhere it is the command's name
					text = strings.TrimPrefix(word, "bin/")
				}
				c.Attacks = append(c.Attacks, Attack{Text: fmt.Sprintf(form, text), Class: l.class, Group: word})
			}
		}
	}
	return nil
}

func (l *lexicon) words(crs fs.FS) (words []string, err error) {
	file, err := crs.Open("@owasp_crs/" + l.file)
	if err != nil {
		return nil, fmt.Errorf("training: word list of CRS: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if word := strings.TrimSpace(lines.Text()); word != "" && !strings.HasPrefix(word, "#") {
			words = append(words, word)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("training: word list of CRS: %s: %w", l.file, err)
	}
	return words, nil
}
