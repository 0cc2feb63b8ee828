package output

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

var pager = Output{
	Service:  "pager",
	Settings: []Setting{SecretSetting("url", ""), PlainSetting("team", "").Optional()},
	Hosts:    []string{"{url}"},
	Validate: func(settings Settings) []Fault {
		if settings.Get("team") == "x" {
			return []Fault{{"team", "there is none"}}
		}
		return nil
	},
}

func deliverByHand(parcel *Parcel, http HTTP) Disposition {
	body := Object{"text": parcel.Alert.Title(), "to": parcel.Setting("team")}
	first, refused := Accepted(http.Send(Post(parcel.Setting("url")).JSON(body)))
	if refused != nil {
		return *refused
	}
	id, _ := first.JSON()["id"].(string)
	return Delivered(id)
}

func TestAnOutputIsRunAgainstAScript(t *testing.T) {
	http := new(FakeHTTP).Answer(503, "busy", Header{Name: "Retry-After", Value: "30"}).Answer(200, `{"id": "A-1"}`).
		Fail(Timeout).Fail(Forbidden)
	parcel := NewParcel("pager", Object{"title": "Look"}, Settings{"url": " https://a.example "})
	for _, expected := range []Disposition{
		Retry("answered 503 Service Unavailable: busy").After(30), Delivered("A-1"), Retry("the time for the delivery is up"),
		Reject("the host is not permitted"),
	} {
		if found := deliverByHand(parcel, http); found != expected {
			t.Errorf("%+v, should be %+v", found, expected)
		}
	}
	if http.Left() != 0 || !reflect.DeepEqual(http.Requests[0].BodyJSON(), Object{"text": "Look", "to": ""}) {
		t.Error(http.Requests[0].BodyJSON())
	}
	if told := fmt.Sprintf("%v %#v", http.Requests[0], http.Requests[0]); told != "POST a.example (23 bytes) POST a.example (23 bytes)" {
		t.Error(told)
	}
}

func TestSettingsAreCheckedAndNotShown(t *testing.T) {
	for _, story := range []struct {
		given    Settings
		expected []Fault
	}{
		{Settings{}, []Fault{{"url", "is required"}}},
		{Settings{"url": " ", "team": "x"}, []Fault{{"url", "is required"}}},
		{Settings{"url": "https://a", "team": "x"}, []Fault{{"team", "there is none"}}},
		{Settings{"url": "a", "team": "x"}, []Fault{{"url", "is no URL: it begins with neither https:// nor http://"}}},
		{Settings{"url": "https://a"}, nil},
	} {
		if found := pager.Check(story.given); !reflect.DeepEqual(found, story.expected) {
			t.Errorf("%v: %v", story.given, found)
		}
	}
	if told := fmt.Sprintf("%v %+v %#v", Settings{"token": "hunter2"}, Settings{"token": "hunter2"}, Settings{"token": "hunter2"}); strings.Contains(told, "hunter2") {
		t.Error(told)
	}
}

func TestPublishersSpeakToOutputsInKeysNobodyIsShown(t *testing.T) {
	parcel := NewParcel("pager", nil, nil)
	parcel.Publication["@pager.text"], parcel.Publication["@slack.text"] = "Look!", "Look, Slack!"
	if parcel.MagicText("text") != "Look!" || parcel.MagicOf("slack", "text") != "Look, Slack!" || parcel.Magic("none") != nil {
		t.Error(parcel.Publication)
	}
	for key := range parcel.Shown() {
		if key[0] == '@' {
			t.Error(key)
		}
	}
}

func TestAnswersAreReadByTheirStatus(t *testing.T) {
	for _, story := range []struct {
		status   uint16
		body     string
		expected Disposition
	}{
		{204, "", Delivered("")},
		{429, "slow\x1b[2J down\r\n", Retry("answered 429 Too Many Requests: slow[2J down").After(7)},
		{599, "", Retry("answered 599").After(7)},
		{302, "", Reject("answered 302 Found")},
		{400, strings.Repeat("ä", 5000), Reject("answered 400 Bad Request: " + strings.Repeat("ä", 299) + "…")},
	} {
		headers := []Header{{Name: "RETRY-after", Value: "7"}}
		if found := Answer(&Response{story.status, headers, []byte(story.body), false}, nil); found != story.expected {
			t.Errorf("%d: %+v", story.status, found)
		}
	}
	if found := Answer(nil, &Failure{Broken, "no", false}); found != Retry("no") {
		t.Error(found)
	}
	if Delivered("").Progress("x").After(1) != Delivered("") {
		t.Error("what is delivered is tried again")
	}
}

func TestAServiceSaysInTwoWaysHowLongToWait(t *testing.T) {
	const date = "Wed, 21 Oct 2026 07:28:00 GMT"
	for _, story := range []struct {
		after, date string
		expected    int64
	}{
		{" 30 ", "", 30}, {"0.3", "", 1}, {"99999999999999", "", 1<<32 - 1}, {"-5", "", -1}, {"", "", -1}, {"soon", date, -1}, {"NaN", date, -1},
		{"Wed, 21 Oct 2026 07:30:00 GMT", date, 120}, {"Wed, 21 Oct 2026 07:20:00 GMT", date, 0},
		{"Wed, 21 Oct 2026 07:30:00 GMT", "", -1},
	} {
		response := Response{Headers: []Header{{Name: "Retry-After", Value: story.after}, {Name: "Date", Value: story.date}}}
		seconds, ok := response.RetryAfter()
		if found := int64(seconds); ok != (story.expected >= 0) || ok && found != story.expected {
			t.Errorf("%q: %d %v", story.after, found, ok)
		}
	}
}

func TestRequestsAreBuiltInAChain(t *testing.T) {
	request := Post("https://a.example/x?y=1").Query("q", "a b").JSON(Object{}).Basic("ada", "pä:ss").
		Form([2]string{"a", "1&2"}, [2]string{"b", "ü"})
	if request.URL != "https://a.example/x?y=1&q=a%20b" || string(request.Body) != "a=1%262&b=%C3%BC" || len(request.Headers) != 2 {
		t.Error(request.URL, string(request.Body), request.Headers)
	}
	if request.HeaderValue("authorization") != "Basic YWRhOnDDpDpzcw==" ||
		request.HeaderValue("CONTENT-TYPE") != "application/x-www-form-urlencoded" {
		t.Error(request.Headers)
	}
}

func TestURLsComeApartOrSayWhyNot(t *testing.T) {
	url, err := ParseURL("HTTP://[2001:DB8::1]:80?a=b")
	if err != nil || url.Host != "[2001:db8::1]" || url.Port != 80 || url.Path != "/" || url.Origin() != "http://[2001:db8::1]:80" {
		t.Error(url, err)
	}
	for _, text := range []string{"slack.com", "https://a b", "https://u:p@a", "https:///a", "https://a:b", "https://a:0", "https://a:65536",
		"https://a<b", "https://.a", "ftp://a"} {
		if _, err := ParseURL(text); err == nil {
			t.Errorf("%s is a URL", text)
		}
	}
}

func TestTextsFitIntoWhatAServiceTakes(t *testing.T) {
	for _, story := range []struct {
		text     string
		most     int
		unit     Unit
		expected string
	}{
		{"Grüße", 5, Chars, "Grüße"}, {"Grüße", 4, Chars, "Grü…"}, {"Grüße", 6, Bytes, "Gr…"}, {"ab", 1, Chars, "…"}, {"abcd", 1, Bytes, "a"},
		{"ab", 0, Chars, ""}, {"e\u0301e\u0301e\u0301", 4, Chars, "e\u0301…"}, {"👋🏽👋🏽", 3, Chars, "👋🏽…"}, {"😀😀", 3, UTF16, "😀…"},
		{"a👨\u200d👩\u200d👧bcd", 4, Chars, "a…"},
	} {
		if found := Shorten(story.text, story.most, story.unit); found != story.expected {
			t.Errorf("%q: %q", story.text, found)
		}
	}
	if Plain("a\r\nb\x1b[2J\u202ec") != "a b[2Jc" || Percent("a b/ü?!*") != "a%20b%2F%C3%BC%3F%21%2A" {
		t.Error(Plain("a\r\nb\x1b[2J\u202ec"), Percent("a b/ü?!*"))
	}
	if EscapeHTML("<a href='x'>&\x00\n") != "&lt;a href=&#39;x&#39;&gt;&amp;\n" {
		t.Error(EscapeHTML("<a href='x'>&\x00\n"))
	}
}
