package whatsapp

import "testing"

func TestAPersonIsFoundInEveryForm(t *testing.T) {
	names := []string{"15550103002", "US.1349"}
	for payload, want := range map[string][2]bool{
		`{"to":"+1 (555) 010-3002"}`:                                   {true, false},
		`{"text":{"body":"call 1.555.010.3002 today"}}`:                {true, false},
		`{"text":{"body":"2 15550103002, 7"}}`:                         {true, false},
		`{"a":15550103002}`:                                            {true, false},
		`{"a":"\u00315550103002"}`:                                     {true, false},
		`{"15550103002":1}`:                                            {true, false},
		`{"contacts":[{"wa_id":"15550103002"},{"wa_id":"1555"}]}`:      {true, true},
		`{"from_user_id":"US.1349"}`:                                   {true, false},
		`{"body":"US.1349."}`:                                          {true, false},
		`{"body":"US.13490 or XUS.1349"}`:                              {false, false},
		`{"body":"915550103002 or 155501030021"}`:                      {false, false},
		`{"from":"15550103003"}`:                                       {false, true},
		"no JSON, 1555 010 3002":                                       {true, false},
		`{}`:                                                           {false, false},
		`{"cut": "\u002b1 555\u00a0010\u00a03002`:                      {true, false},
		`{"response_json":"{\"phone\":\"\\u002b155501\\u00303002\"}"}`: {true, false},
		`{"a":"1555010\\u30023002 \\u"}`:                               {false, false},
	} {
		if mentioned, others := Mentions([]byte(payload), names); [2]bool{mentioned, others} != want {
			t.Errorf("%s: %t %t, want %v", payload, mentioned, others, want)
		}
	}
}
