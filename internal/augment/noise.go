// SPDX-License-Identifier: Apache-2.0

package augment

import (
	"iter"
	"math"
	"math/rand/v2"
	"strings"
)

// Noise is a family of random text: tokens drawn one by one, each without regard to those before it. That such a text
// is an attack that works is next to impossible; that it holds what attacks hold is the more likely the richer the tokens
// are.
type Noise struct {
	Name  string
	Doc   string
	kinds []tokens
}

// tokens are drawn alike; weight is how often any of them is, among the kinds of a family.
type tokens struct {
	weight int
	texts  []string
}

// Families lists the families of noise, the least like an attack first.
func Families() []Noise { return families }

// Lengths is a distribution of lengths in tokens: half are below Typical, the tail falls as a power, and none is above
// Most (Lomax, 1954, cut off).
type Lengths struct{ Typical, Most int }

// tail is the exponent of the tail: below 2, so that the longest texts hold most of the tokens.
const tail = 1.3

// Draw draws a length, 1 to Most.
func (l Lengths) Draw(rng *rand.Rand) int {
	x := (math.Pow(1-rng.Float64(), -1/tail) - 1) / (math.Pow(2, 1/tail) - 1) // its median is 1
	return 1 + int(min(x*float64(l.Typical), float64(l.Most-1)))
}

// AnyLength is the distribution of lengths of noise where nothing else is wanted.
var AnyLength = Lengths{Typical: 12, Most: 4000}

// ThroughCRS is that of noise that goes through CRS, which takes more than linear time.
var ThroughCRS = Lengths{Typical: AnyLength.Typical, Most: 200}

// Texts yields texts without end.
func (n *Noise) Texts(lengths Lengths, rng *rand.Rand) iter.Seq[string] {
	return func(yield func(string) bool) {
		for yield(n.text(lengths.Draw(rng), rng)) {
		}
	}
}

func (n *Noise) text(length int, rng *rand.Rand) string {
	total := 0
	for _, kind := range n.kinds {
		total += kind.weight
	}
	var b strings.Builder
	for range length {
		at := rng.IntN(total)
		for _, kind := range n.kinds {
			if at -= kind.weight; at < 0 {
				b.WriteString(kind.texts[rng.IntN(len(kind.texts))])
				break
			}
		}
	}
	return b.String()
}

// characters lists the characters of a range.
func characters(from, to rune) (list []string) {
	for c := from; c <= to; c++ {
		list = append(list, string(c))
	}
	return list
}

// spaced puts a blank after each word.
func spaced(words []string) []string {
	list := make([]string, len(words))
	for i, word := range words {
		list[i] = word + " "
	}
	return list
}

func join(lists ...[]string) (all []string) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

var (
	lower        = characters('a', 'z')
	digits       = characters('0', '9')
	alphanumeric = join(lower, characters('A', 'Z'), digits)
	printable    = characters(' ', '~')

	words = strings.Fields(`account active address amount api article avatar billing blue body cart category city client code
		color comment company content count country created currency customer data date default description details device
		discount email enabled end event feature file first gender green group height home host icon id image info item key
		label large last level link list location login main member message meta method model month name news number offer
		option order owner page parent payment phone photo price product profile public quantity query rating red region
		result review role search section service session settings shop size small sort start state status street style
		summary summer tag task team text theme time title token total type update url user value version view visit week
		width winter year zip`)
	numbers = join(digits, strings.Fields(`10 12 15 20 24 42 60 64 99 100 128 200 255 256 300 404 443 500 512 640 720 1000
		1024 1080 1920 2024 3600 8080 65535 0.5 1.0 2.75 3.14 99.95 -1 -5 1e6 0x1f 1735689600 2025-01-31 12:30:00`))
	identifiers = join(words, strings.Fields(`user_id createdAt order_items isActive http_requests_total first_name productId
		last_seen t1 t2 a b c x y i n tmp foo bar node_cpu_seconds_total customers orders products sessions`))

	sqlWords = strings.Fields(`select from where and or not in is null like between join left right inner outer on as union
		all distinct group by order having limit offset insert into values update set delete create table drop alter index
		view case when then else end exists count sum avg min max cast convert coalesce concat substring length char asc
		desc top with primary key database schema exec declare begin sleep benchmark SELECT FROM WHERE AND OR JOIN UNION
		ORDER BY GROUP LIMIT NULL COUNT DESC`)
	sqlMarks = []string{"=", "<", ">", "<>", "!=", "<=", ">=", "+", "-", "*", "/", "%", "(", ")", ",", ".", ";", "'", "\"", "`", "--",
		"/*", "*/", "#", "||", "@", "@@", ":", "?", " ", "\n"}

	scriptWords = strings.Fields(`var let const function return if else for while do switch case break continue new this null
		undefined true false typeof instanceof delete void try catch throw async await class extends import export from
		document window location cookie alert confirm prompt eval setTimeout console log innerHTML getElementById onload
		onerror onclick onmouseover script img svg iframe src href style String fromCharCode atob fetch JSON parse
		constructor prototype`)
	scriptMarks = []string{"(", ")", "{", "}", "[", "]", ";", ",", ".", ":", "?", "=", "==", "===", "!=", "!", "&&", "||", "+", "-", "*",
		"/", "%", "<", ">", "</", "/>", "=>", "'", "\"", "`", "${", "\\", "//", "/*", "*/", " ", "\n", "();", "('", "')"}

	shellWords = strings.Fields(`cat ls cd echo rm cp mv grep find sed awk sort head tail wc cut tr xargs curl wget ping nc bash sh
		zsh python perl php ruby id whoami uname ps kill sleep chmod chown mkdir touch export env sudo su ssh scp tar gzip if
		then else fi for do done while case esac exit set test true false etc passwd shadow bin usr tmp dev null home root
		var log`)
	shellMarks = []string{";", "|", "||", "&", "&&", "`", "$", "$(", "${", ")", "}", "(", "{", "<", ">", ">>", "2>&1", "<<", "*", "?",
		"[", "]", "!", "-", "--", "/", "../", "./", "~", "=", "'", "\"", "\\", "#", ",", ".", " ", "\n", "-c ", "-r ", "-la "}

	phpWords = strings.Fields(`php echo print require include require_once include_once function return if else elseif foreach
		for while switch case break class new public private static const extends implements namespace use array isset empty
		unset die exit eval assert system exec shell_exec passthru popen base64_decode file_get_contents file_put_contents
		fopen phpinfo preg_replace str_replace strlen substr implode explode json_encode unserialize header session_start
		_GET _POST _REQUEST _SERVER _COOKIE this self parent null true false`)
	phpMarks = []string{"<?php ", "<?= ", "?>", "$", "$_", "->", "=>", "::", "(", ")", "[", "]", "{", "}", ";", ",", ".", "=", "==", "===",
		"!=", "!", "&&", "||", "+", "-", "*", "/", "%", "<", ">", "?", ":", "@", "&", "'", "\"", "\\", "//", "#", "/*", "*/", " ", "\n"}
)

// fragments cuts words in two: the halves that a reader who looks at short sequences sees of them.
func fragments(words []string) (list []string) {
	for _, word := range words {
		if len(word) >= 4 {
			list = append(list, word[:len(word)/2], word[len(word)/2:])
		}
	}
	return list
}

var families = []Noise{
	{"ascii", "letters and digits", []tokens{{1, alphanumeric}}},
	{"printable", "every character of a keyboard", []tokens{{1, printable}}},
	{"ascii-script", "letters, digits and the punctuation of markup", []tokens{
		{3, alphanumeric},
		{1, []string{"<", ">", "/", "</", "-", "+", "=", "< ", " >", " ", " />"}},
	}},
	{"uri", "pieces of addresses", []tokens{
		{3, words}, {2, numbers}, {2, []string{"/", "/", ".", "-", "_", "?", "&", "=", "#", "%20", "+", ":", ";", ",", "~", "@"}},
		{1, []string{"http://", "https://", "//", "www.", ".com", ".org", ".net", ".example", ".html", ".php", ".js", ".png", ".json",
			"../", "./", ":8080", "%2F", "%3A", "%3D", "%26", "utm_source=", "&id=", "?q=", "/index", "/api/v1/", "ftp://", "mailto:", "data:"}},
	}},
	{"user-agent", "pieces of browsers' names", []tokens{
		{3, spaced(strings.Fields(`Mozilla/5.0 AppleWebKit/537.36 Chrome/129.0.0.0 Safari/537.36 Gecko/20100101 Firefox/130.0
			Version/17.6 Mobile/15E148 Edg/129.0 OPR/114.0 Googlebot/2.1 curl/8.5.0 Dalvik/2.1.0 okhttp/4.12 Trident/7.0`))},
		{2, []string{"(Windows NT 10.0; Win64; x64) ", "(X11; Linux x86_64) ", "(KHTML, like Gecko) ", "(Macintosh; ", "Intel Mac OS X 10_15_7", "(iPhone; ",
			"(Linux; Android 14; ", "Pixel 8", "compatible; ", "MSIE 9.0; ", "rv:130.0", "wv", "+http://www.google.com/bot.html"}},
		{2, []string{"(", ")", ";", " ", "/", ".", ",", "-", "_", ":"}}, {1, numbers},
	}},
	{"json", "pieces of JSON", []tokens{
		{4, []string{"{", "}", "[", "]", ":", ",", "\"", "\":", "\",", "{\"", "\"}", "\":\"", "\",\"", "\":{\"", "\"},{\"", "[{\"", "\"}]", "\": ", ", ", "\\\"", "\\n", "\\u00e9"}},
		{3, identifiers}, {2, numbers}, {1, []string{"true", "false", "null", " ", "\n", "\n  "}},
	}},
	{"xml", "pieces of XML and SOAP", []tokens{
		{3, []string{"<", ">", "</", "/>", "=\"", "\"", "\">", "\" ", " ", "\n", ":", "<!--", "-->", "<![CDATA[", "]]>", "&amp;", "&lt;", "&gt;", "&quot;", "?>"}},
		{2, []string{"<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<soap:Envelope", "</soap:Envelope>", "<soap:Body>", "</soap:Body>", "<soap:Header/>",
			" xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"", " xmlns=\"urn:example\"", "<item>", "</item>", "<xsl:template match=\"",
			"<xsl:value-of select=\"", "<xs:element name=\"", " type=\"xs:string\"", "<name>", "</name>", "<value/>", " id=\"", "<ns1:", "</ns1:"}},
		{3, identifiers}, {2, numbers},
	}},
	{"graphql", "pieces of GraphQL", []tokens{
		{2, []string{"query ", "mutation ", "subscription ", "fragment ", "on ", "type ", "input ", "enum ", "union ", "interface ", "schema ", "__typename",
			"@include(if: ", "@skip(if: ", "node", "edges", "pageInfo", "first: ", "after: ", "where: ", "orderBy: ", "Int!", "String!", "ID!", "Boolean"}},
		{4, []string{"{", "}", "(", ")", "[", "]", ":", ",", "!", "$", "...", "\"", "=", "@", " ", " ", "\n", "\n  ", " { ", " } ", "|", "&"}},
		{4, identifiers}, {1, numbers},
	}},
	{"promql", "pieces of PromQL and LogQL", []tokens{
		{2, []string{"rate(", "irate(", "increase(", "sum(", "avg(", "max(", "count(", "histogram_quantile(", "topk(", "label_replace(", "delta(", "absent(",
			"sum by (", "avg without (", " by ", " without ", " on ", " ignoring ", " group_left ", " offset ", " and ", " or ", " unless ", "bool "}},
		{4, []string{"{", "}", "(", ")", "[", "]", "=", "!=", "=~\"", "!~\"", "\"", "\",", "=\"", ",", "+", "-", "*", "/", "%", "^", ">", "<", "==", ">=", "|=", "|~", ".*", ".+", "|", " ", " ", "[5m]", "[1h]", "[30s]"}},
		{3, []string{"job", "instance", "le", "code", "method", "handler", "pod", "namespace", "container", "http_requests_total", "up", "node_cpu_seconds_total",
			"process_resident_memory_bytes", "http_request_duration_seconds_bucket", "idle", "user", "kube_pod_info", "5xx", "5..", "0.99", "0.95"}},
		{1, numbers},
	}},
	{"sql", "pieces of SQL", []tokens{
		{4, spaced(sqlWords)}, {4, identifiers}, {2, numbers}, {4, sqlMarks}, {4, []string{" "}},
	}},
	{"sql-fragments", "characters, words and halves of words of SQL", []tokens{
		{4, printable}, {3, sqlWords}, {2, fragments(sqlWords)}, {2, sqlMarks},
	}},
	{"script-fragments", "the same of JavaScript and HTML", []tokens{
		{4, printable}, {3, scriptWords}, {2, fragments(scriptWords)}, {2, scriptMarks},
	}},
	{"shell-fragments", "the same of shells", []tokens{
		{4, printable}, {3, shellWords}, {2, fragments(shellWords)}, {2, shellMarks},
	}},
	{"php-fragments", "the same of PHP", []tokens{
		{4, printable}, {3, phpWords}, {2, fragments(phpWords)}, {2, phpMarks},
	}},
}
