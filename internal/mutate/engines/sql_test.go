// SPDX-License-Identifier: Apache-2.0

// Package engines_test holds mutators to their promises in a real SQL engine and a real JavaScript engine.
package engines_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/mlverdict/mlverdict/internal/mutate"
)

// queries of applications that put a parameter in without a care, and injections that work in some of them, by the
// quotes that stand around the parameter.
var queries = []struct{ skeletons, injections []string }{
	{
		[]string{
			"SELECT id, name FROM users WHERE id = %s",
			"SELECT id, name FROM users WHERE id = %s AND active = 1",
			"SELECT id, name FROM users WHERE (id = %s) ORDER BY id",
			"SELECT id, name FROM users ORDER BY %s",
		},
		[]string{
			"1 OR 1=1", "1 or 1=1-- ", "0 or 2>1", "-1 or id<>2", "1 and 1=2", "1 AND 1=1 --x", "2 or not 1=2", "1/**/or/**/1=1",
			"0 union select 1,2", "0 UNION ALL SELECT id,secret FROM users", "0 union select id, secret from users where id=2 or id!=3",
			"1) or (1=1", "1) or (2=2)-- ", "0 or id between 1 and 2", "0 or exists(select 1 from users where name='ann')",
			"1 and (select count(*) from users where secret like 'k%')>0", "1 or id in (select id from users where active=1)",
			"id", "(case when 1=1 then id else name end)", "1, (select count(*) from users where id = 1)", "id desc",
			"1 or 1 = 1 and 'q' = 'q'", "0 or 1=1 limit 1", "0 or id=1 group by name having 1=1", "1 or 7=7 or 'x'='y'",
			"(select 2 where 'a' = 'a')", "1 or 'abc'='abc'", "0 or name = 'ann' or name='b'||'ob'", "1 and id = 1 or id = 2 -- x\n",
		},
	},
	{
		[]string{
			"SELECT id, name FROM users WHERE name = '%s'",
			"SELECT id, name FROM users WHERE name = '%s' AND active = 1",
			"SELECT id, name FROM users WHERE (name = '%s') LIMIT 2",
			"SELECT id, name FROM users WHERE name LIKE '%%%s%%'",
		},
		[]string{
			"' or '1'='1", "' OR 1=1-- ", "' or ''='", "x' or 'ab'='ab' -- ", "ann' AND active=1 -- ", "ann' and 'x'='x", "ann'/*", "') or ('1'='1",
			"' union select id, secret from users -- ", "' UNION SELECT 1, 'admin' /* tail", "zz' or name='bob' or name<>'ann", "ann' or id=2 and name!='zz",
			"ann'||'' -- ", "' or id = 3 or '7'='8", "' or 2 in (2) -- ", "a%' or 1=1 -- ", "' or length(secret)=4 -- ", "' or 3=3 and 'ann'='ann' -- ",
		},
	},
	{
		[]string{`SELECT id, name FROM users WHERE name = "%s"`, `SELECT id, name FROM users WHERE name = "%s" AND active = 1`},
		[]string{`" or "1"="1`, `" or 1=1 -- `, `ann" and active=1 -- `, `x" union select id, secret from users where id=1 or id=3 /*`},
	},
}

// SQL mutations change no row, however many there are of them, wherever the original works.
func TestSQLKeepsTheRows(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE users(id INTEGER, name TEXT, secret TEXT, active INTEGER);
		INSERT INTO users VALUES (1,'ann','k3y1',1),(2,'bob','xx',0),(3,'cid','kk',1)`)
	require.NoError(t, err)
	rows := func(skeleton, payload string) (string, error) {
		found, err := db.Query(fmt.Sprintf(skeleton, payload))
		if err != nil {
			return "", err
		}
		defer found.Close()
		var all strings.Builder
		for found.Next() {
			var id, name any
			if err := found.Scan(&id, &name); err != nil {
				return "", err
			}
			fmt.Fprintln(&all, id, name)
		}
		return all.String(), found.Err()
	}
	checked := map[string]int{}
	hold := func(skeleton, injection string) (works bool) {
		want, err := rows(skeleton, injection)
		if err != nil {
			return false
		}
		for seed := range uint64(12) {
			rng := rand.New(rand.NewPCG(seed, 1))
			payload, names := injection, []string{}
			for range 12 {
				mutated, name, ok := mutate.Any(portable(), payload, rng)
				if !ok {
					break
				}
				payload, names = mutated, append(names, name)
				checked[name]++
				got, err := rows(skeleton, payload)
				require.NoError(t, err, "%s\nfrom %q\nto   %q\nby %v", skeleton, injection, payload, names)
				require.Equal(t, want, got, "%s\nfrom %q\nto   %q\nby %v", skeleton, injection, payload, names)
			}
		}
		return true
	}
	for _, group := range queries {
		for _, injection := range group.injections {
			works := false
			for _, skeleton := range group.skeletons {
				works = hold(skeleton, injection) || works
			}
			assert.True(t, works, "%q works in no query", injection)
		}
	}
	for _, m := range portable() {
		assert.Greater(t, checked[m.Name], 50, m.Name)
	}
}

// portable are the mutators for every dialect, or for one that SQLite shares.
func portable() (list []mutate.Mutator) {
	for _, m := range mutate.For("sqli") {
		if !strings.HasPrefix(m.Name, "sql-mysql-") {
			list = append(list, m)
		}
	}
	return list
}
