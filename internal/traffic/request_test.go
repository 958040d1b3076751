// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDecode(t *testing.T) {
	full, err := decode([]byte(`{"set":"shop","origin":"crawl","label":"benign","class":"","method":"POST","uri":"/a?b=%20",
		"headers":[["Host","shop.example"],["x-odd",""]],"body":"q=1","src":"log#7","site":"shop","pick":"uniform","kind":"form",
		"app":"Shop","rule":942100,"pl":2,"doubt":true,"host_in_train":true,"unknown":[1]}`), false)
	require.NoError(t, err)
	assert.Equal(t, &Request{
		Set: "shop", Origin: "crawl", Label: Benign, Method: "POST", URI: "/a?b=%20",
		Headers: [][2]string{{"Host", "shop.example"}, {"x-odd", ""}}, Body: []byte("q=1"),
		Src: "log#7", Site: "shop", Pick: "uniform", Kind: "form", App: "Shop",
		Rule: 942100, Paranoia: 2, Doubt: true, HostInTrain: true,
	}, full)

	binary, err := decode([]byte(`{"label":"benign","method":"PUT","uri":"/","body_b64":"AP8="}`), false)
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 0xff}, binary.Body)

	payload, err := decode([]byte(`{"label":"attack","class":"sqli","payload":"' or 1=1--"}`), false)
	require.NoError(t, err)
	assert.True(t, payload.IsPayload())
}

func TestDecodeRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ line, want string }{
		"no JSON":             {`GET / HTTP/1.1`, "not JSON: "},
		"cut short":           {`{"label":"benign"`, "not JSON: "},
		"two values":          {`{} {}`, "not JSON: "},
		"an array":            {`[1]`, "unexpected array (want a JSON object, one request a line)"},
		"null":                {`null`, `label "" (want "benign" or "attack")`},
		"no label":            {`{"method":"GET","uri":"/"}`, `label "" (want "benign" or "attack")`},
		"unknown label":       {`{"label":"good","method":"GET","uri":"/"}`, `label "good" (want "benign" or "attack")`},
		"no method":           {`{"label":"benign","uri":"/"}`, "method is missing"},
		"no uri":              {`{"label":"benign","method":"GET"}`, "uri is missing"},
		"nothing":             {`{"label":"benign"}`, "neither a request (method and uri) nor a payload"},
		"harmless payload":    {`{"label":"benign","payload":"hello"}`, `a payload labelled "benign" (want "attack": a payload is the text of an attack)`},
		"payload and request": {`{"label":"attack","payload":"x","uri":"/"}`, "both a payload and a request (want one of them)"},
		"two bodies":          {`{"label":"benign","method":"GET","uri":"/","body":"","body_b64":""}`, "both body and body_b64 (want one of them)"},
		"bad base64":          {`{"label":"benign","method":"GET","uri":"/","body_b64":"?"}`, "illegal base64"},
		"half a header":       {`{"label":"benign","method":"GET","uri":"/","headers":[["a","b"],["c"]]}`, "headers[1] has 1 elements (want a name and a value)"},
		"headers as object":   {`{"label":"benign","method":"GET","uri":"/","headers":{"a":"b"}}`, `field "headers": unexpected object`},
		"number as method":    {`{"label":"benign","method":1,"uri":"/"}`, `field "method": unexpected number`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode([]byte(tc.line), false)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestMarshalRefusesBytesThatJSONWouldChange(t *testing.T) {
	for name, r := range map[string]Request{
		"uri":    {Method: "GET", URI: "/\xff"},
		"header": {Method: "GET", URI: "/", Headers: [][2]string{{"Host", "\xff"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := json.Marshal(&r)
			assert.ErrorContains(t, err, "is not UTF-8")
		})
	}
}

// FuzzDecode: no line panics, and a row that was read survives being written and read again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"label":"benign","method":"GET","uri":"/?a=b","headers":[["Host","example.com"]],"body":"x"}`))
	f.Add([]byte(`{"label":"attack","method":"POST","uri":"/","body_b64":"AP8="}`))
	f.Add([]byte(`{"label":"attack","class":"xss","payload":"<script>\u0000"}`))
	f.Add([]byte(`{"label":"benign","method":"\ud800","uri":"/","headers":[["",""]],"pl":-1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		req, err := decode(line, false)
		if err != nil {
			return
		}
		written, err := json.Marshal(req)
		require.NoError(t, err)
		again, err := decode(written, false)
		require.NoError(t, err)
		assert.Equal(t, req, again)
	})
}
