package canonical

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

func canonical(t testing.TB, text string) string {
	t.Helper()
	v, _, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return string(v.Append(nil))
}

func TestTheFormIsThatOfRFC8785(t *testing.T) {
	for text, want := range map[string]string{
		// The example of section 3.2.2 and the sorting of 3.2.3.
		`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`:                                        `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`: "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		" [ 1.0 , -0 , -0.0e7, 0e99999999999, 1e21, 100e18, 123456789012345678901, 0.000001, 0.0000001, -12.50e-1 ] ":                                                                                                "[1,0,0,0,1e+21,100000000000000000000,123456789012345678901,0.000001,1e-7,-1.25]",
		// Where a double would make two integers one, or has no such number, all digits stay.
		`[9007199254740993,9007199254740992,1e400,1.5e-400,0.1000000000000000055511151231257827]`: `[9007199254740993,9007199254740992,1e+400,1.5e-400,0.1]`,
		`["\ud800","\uDFFF\ud800x","\ud83d\ude00","\/","\b\f\n\r\t\u007f\u2028"]`:                 "[\"\\ud800\",\"\\udfff\\ud800x\",\"😀\",\"/\",\"\\b\\f\\n\\r\\t\u007f\u2028\"]",
		"\"a\xffb\"":                           "\"a\xffb\"",
		`"\"\\"`:                               `"\"\\"`,
		`{}`:                                   `{}`,
		`[ ]`:                                  `[]`,
		`{"a":{"c":[{"z":1,"y":2}],"b":null}}`: `{"a":{"b":null,"c":[{"y":2,"z":1}]}}`,
		`1e-9999999999`:                        `1e-9999999999`,
	} {
		if got := canonical(t, text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// spelling writes a decoded value in a random way that means the same.
func spelling(r *rand.Rand, v any) string {
	blank := func() string { return strings.Repeat(" ", r.IntN(2)) + strings.Repeat("\n", r.IntN(2)) }
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		var all []string
		for _, name := range names {
			all = append(all, blank()+quote(r, name)+blank()+":"+spelling(r, v[name]))
		}
		return "{" + strings.Join(all, ",") + blank() + "}"
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, spelling(r, e))
		}
		return "[" + strings.Join(all, ",") + blank() + "]"
	case string:
		return blank() + quote(r, v) + blank()
	case float64:
		return number(r, v)
	}
	b, _ := json.Marshal(v)
	return blank() + string(b) + blank()
}

func quote(r *rand.Rand, s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch form := r.IntN(3); {
		case c < ' ' || form == 0 || c == '"' || c == '\\':
			if c > 0xffff {
				c -= 0x10000
				fmt.Fprintf(&b, `\u%04X\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
			} else {
				fmt.Fprintf(&b, `\u%04x`, c)
			}
		case c == '/' && form == 1:
			b.WriteString(`\/`)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func number(r *rand.Rand, f float64) string {
	plain := strconv.FormatFloat(f, 'f', -1, 64)
	if len(plain) > 40 || r.IntN(2) == 0 {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
		if strings.Contains(mantissa, ".") {
			mantissa += strings.Repeat("0", r.IntN(3))
		}
		return mantissa + []string{"e", "E"}[r.IntN(2)] + exponent
	}
	if !strings.Contains(plain, ".") && r.IntN(2) == 0 {
		plain += "."
	}
	if strings.Contains(plain, ".") {
		plain += strings.Repeat("0", 1+r.IntN(3))
	}
	return plain
}

func random(r *rand.Rand, depth int) any {
	kind := r.IntN(7)
	if depth == 0 {
		kind = r.IntN(4)
	}
	switch kind {
	case 0:
		return []any{nil, true, false}[r.IntN(3)]
	case 1:
		return float64(r.IntN(2000)-1000) / []float64{1, 8, 1000}[r.IntN(3)]
	case 2:
		for {
			if f := math.Float64frombits(r.Uint64()); !math.IsInf(f, 0) && !math.IsNaN(f) {
				return f
			}
		}
	case 3:
		return randomText(r)
	case 4:
		all := []any{}
		for range r.IntN(4) {
			all = append(all, random(r, depth-1))
		}
		return all
	}
	all := map[string]any{}
	for range r.IntN(12) {
		all[randomText(r)] = random(r, depth-1)
	}
	return all
}

func randomText(r *rand.Rand) string {
	letters := []rune("ab\"\\/\n\x00\x7f éş€\ufb33\uffff😀𝄞")
	text := make([]rune, r.IntN(5))
	for i := range text {
		text[i] = letters[r.IntN(len(letters))]
	}
	return string(text)
}

func TestSpellingsOfOneContentAreEqualAndThoseOfRFC8785(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		v := random(r, 4)
		one := spelling(r, v)
		first := canonical(t, one)
		if second := canonical(t, spelling(r, v)); second != first {
			t.Fatalf("%q is\n%s and\n%s", v, first, second)
		}
		if _, whole := v.(map[string]any); !whole {
			continue // the library accepts objects and arrays only
		}
		want, err := jcs.Transform([]byte(one))
		if err != nil || string(want) != first {
			t.Fatalf("%s\n got %s\nwant %s %v", one, first, want, err)
		}
	}
}

func TestDifferentContentsStayDifferent(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	seen := map[string]any{}
	for range 5000 {
		v := random(r, 2)
		form := canonical(t, spelling(r, v))
		if before, ok := seen[form]; ok && !reflect.DeepEqual(before, v) {
			t.Fatalf("%#v and %#v are both %s", before, v, form)
		}
		seen[form] = v
	}
	for _, pair := range [][2]string{
		{`9007199254740993`, `9007199254740992`}, {`1e400`, `1e401`}, {`1`, `"1"`}, {`"\ud800"`, `"\ud801"`}, {`"\ud800"`, `"\ufffd"`}, {"\"\xff\"", "\"\xfe\""},
		{`"\\ud800"`, `"\ud800"`}, {`[1,2]`, `[2,1]`}, {`{"a":null}`, `{}`}, {`""`, `null`}, {`{"a":1}`, `{"A":1}`}, {`"é"`, `"e\u0301"`}, {`1e-9999999999`, `0`},
	} {
		if one, other := canonical(t, pair[0]), canonical(t, pair[1]); one == other {
			t.Errorf("%s and %s are both %s", pair[0], pair[1], one)
		}
	}
}

func TestEveryRepeatedMemberIsReportedOnceByItsPath(t *testing.T) {
	var many strings.Builder
	for i := range 200 {
		fmt.Fprintf(&many, `,"m%d":1`, i%150)
	}
	for text, want := range map[string][]string{
		`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}`: nil,
		`{"a":1,"a":1}`:                              {"a"},
		`{"a":1,"\u0061":2,"a":3}`:                   {"a"},
		`{"to":1,"TO":2}`:                            nil,
		`{"text":{"body":1,"body":2},"to":1,"to":2}`: {"text.body", "to"},
		`[[{"a":{"b":[0,{"c":1,"c":2}]}}]]`:          {"[0][0].a.b[1].c"},
		`{"+15550100001":1,"+15550100001":2}`:        {"*"},
		`{"a":{"` + strings.Repeat("x", 41) + `":1,"` + strings.Repeat("x", 41) + `":1}}`: {"a.*"},
		`{"":1,"":2}`:                     {"*"},
		`{"9":{"a":1},"9":{"a":1,"a":2}}`: {"*", "*.a"},
		`7`:                               nil,
	} {
		if _, got, err := Parse([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q %v, want %q", text, got, err, want)
		}
	}
	if _, got, _ := Parse([]byte(`{"x":0` + many.String() + `}`)); len(got) != 50 || got[0] != "m0" || got[49] != "m49" {
		t.Errorf("of many members %q", got)
	}
	if _, got, _ := Parse([]byte(`[` + strings.Repeat(`{"a":1,"a":1},`, 1000) + `0]`)); len(got) != MostDuplicates {
		t.Errorf("%d are reported", len(got))
	}
	deep := strings.Repeat(`{"abcdefghij":`, 5000) + `{"a":1,"a":1}` + strings.Repeat(`}`, 5000)
	if _, got, err := Parse([]byte(deep)); err != nil || len(got) != 1 || len(got[0]) > 250 || !strings.HasSuffix(got[0], ".*") {
		t.Errorf("of a deep one %q %v", got, err)
	}
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	for _, text := range []string{``, ` `, `{`, `{"a":1}{}`, `[1,]`, `01`, `'a'`, "\"\n\"", `"\x"`, `nul`, strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000)} {
		if _, _, err := Parse([]byte(text)); err != ErrNotJSON {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestMembersAreReadAsWritten(t *testing.T) {
	v, _, err := Parse([]byte(`{"a":"x\u00e9\ud800","n":1.50e3,"l":[true,null],"nul":null,"o":{},"a\u0062":7,"d":1,"d":2}`))
	if err != nil || v.Get("a").Text() != "xé\ufffd" || v.Get("n").Text() != "1.50e3" || v.Get("ab").Text() != "7" || v.Get("d").Text() != "2" || v.Get("o").Text() != "" {
		t.Errorf("%+v %v", v, err)
	}
	if v.Get("nul").Present() || v.Get("none").Present() || !v.Get("o").Present() || !v.Get("o").IsObject() || !v.Get("a").IsString() || !v.Get("n").IsNumber() || len(v.Get("l").Elements()) != 2 {
		t.Errorf("%+v", v)
	}
}

// same compares decoded values, numbers by their value.
func same(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		other, ok := b.(json.Number)
		if !ok || len(a) > 60 || len(other) > 60 {
			return ok
		}
		if exponentIsLong(a) || exponentIsLong(other) {
			return true
		}
		if x, y := rational(a), rational(other); x.IsInt() && y.IsInt() {
			return x.Cmp(y) == 0
		}
		x, _ := a.Float64()
		y, _ := other.Float64()
		return x == y
	case map[string]any:
		other, ok := b.(map[string]any)
		if !ok || len(a) != len(other) {
			return false
		}
		for name, v := range a {
			if !same(v, other[name]) {
				return false
			}
		}
		return true
	case []any:
		other, ok := b.([]any)
		if !ok || len(a) != len(other) {
			return false
		}
		for i := range a {
			if !same(a[i], other[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

func exponentIsLong(n json.Number) bool {
	_, exponent, _ := strings.Cut(strings.ToLower(string(n)), "e")
	return len(exponent) > 4
}

func rational(n json.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(string(n))
	return r
}

func decode(text []byte) any {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	_ = d.Decode(&v)
	return v
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":1.0,"a":"\u00e9\ud83d\ude00\/"}`, `[-0,1e21,1e-7,9007199254740993]`, `{"a":1,"a":{"b":2,"b":3}}`, "{\"\xff\":\"\\ud800\"}", `{"\ue000":1,"😀":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, duplicates, err := Parse(text)
		if (err == nil) != json.Valid(text) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		form := v.Append(nil)
		again, _, err := Parse(form)
		if err != nil || string(again.Append(nil)) != string(form) {
			t.Fatalf("%q is no fixed point: %q %v", form, again.Append(nil), err)
		}
		if len(duplicates) == 0 && utf8.Valid(text) && !same(decode(text), decode(form)) {
			t.Fatalf("%q has another content than %q", form, text)
		}
		for _, path := range duplicates {
			if path == "" || len(path) > 300 {
				t.Fatalf("%q", path)
			}
		}
	})
}

func BenchmarkParseAndAppend(b *testing.B) {
	text := []byte(`{"messaging_product":"whatsapp","to":"15550100001","type":"template","template":{"name":"n","language":{"code":"en"},"components":[` +
		strings.Repeat(`{"type":"body","parameters":[{"type":"text","text":"a\u00e9 text of a parameter"}]},`, 12) + `{}]}}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		v, _, _ := Parse(text)
		v.Append(nil)
	}
}
