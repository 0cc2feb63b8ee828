package output

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"streamalert/sdk/internal/alert"
	"streamalert/sdk/internal/clock"
	"streamalert/sdk/internal/host"
	"streamalert/sdk/internal/packed"
)

// HTTP sends requests: the host, or a FakeHTTP in tests. The error is a *Failure.
type HTTP interface {
	Send(request *Request) (*Response, error)
}

// Header of a request or an answer.
type Header = host.Header

// Request is made by Get, Post and their like, and told the rest in a chain.
type Request struct {
	Method, URL string
	Headers     []Header
	Body        []byte
}

func Get(url string) *Request { return &Request{Method: "GET", URL: url} }

func Post(url string) *Request { return &Request{Method: "POST", URL: url} }

func Put(url string) *Request { return &Request{Method: "PUT", URL: url} }

func Patch(url string) *Request { return &Request{Method: "PATCH", URL: url} }

func Delete(url string) *Request { return &Request{Method: "DELETE", URL: url} }

func Head(url string) *Request { return &Request{Method: "HEAD", URL: url} }

// Header adds one; a name may come several times. The host refuses Host, Content-Length, Connection, Transfer-Encoding, and values
// with line breaks.
func (r *Request) Header(name, value string) *Request {
	r.Headers = append(r.Headers, Header{Name: name, Value: value})
	return r
}

// Query puts name=value behind the URL, both encoded.
func (r *Request) Query(name, value string) *Request {
	glue := "?"
	if strings.Contains(r.URL, "?") {
		glue = "&"
	}
	r.URL += glue + Percent(name) + "=" + Percent(value)
	return r
}

// JSON is the body.
func (r *Request) JSON(body Object) *Request {
	return r.Bytes("application/json", packed.AppendObject(nil, body))
}

// Form is the body: pairs of names and values.
func (r *Request) Form(pairs ...[2]string) *Request {
	parts := make([]string, len(pairs))
	for index, pair := range pairs {
		parts[index] = Percent(pair[0]) + "=" + Percent(pair[1])
	}
	return r.Bytes("application/x-www-form-urlencoded", []byte(strings.Join(parts, "&")))
}

// Bytes are the body, of this content type.
func (r *Request) Bytes(contentType string, body []byte) *Request {
	kept := r.Headers[:0]
	for _, header := range r.Headers {
		if !strings.EqualFold(header.Name, "Content-Type") {
			kept = append(kept, header)
		}
	}
	r.Headers, r.Body = kept, body
	return r.Header("Content-Type", contentType)
}

// Basic is for Authorization.
func (r *Request) Basic(user, password string) *Request {
	return r.Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// Bearer is for Authorization.
func (r *Request) Bearer(token string) *Request { return r.Header("Authorization", "Bearer "+token) }

// HeaderValue is that of the first of this name; empty: there is none.
func (r *Request) HeaderValue(name string) string { return value(r.Headers, name) }

// BodyJSON is for tests; nil if it is no JSON.
func (r *Request) BodyJSON() any {
	value, _ := alert.ParseValue(string(r.Body))
	return value
}

// String is without what may be secret: webhooks have it in the URL, others in headers.
func (r *Request) String() string {
	name := ""
	if url, err := ParseURL(r.URL); err == nil {
		name = url.Host
	}
	return r.Method + " " + name + " (" + strconv.Itoa(len(r.Body)) + " bytes)"
}

// GoString, too.
func (r *Request) GoString() string { return r.String() }

func value(headers []Header, name string) string {
	for _, header := range headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return ""
}

// Response is an answer, of whatever status.
type Response struct {
	Status  uint16
	Headers []Header
	Body    []byte
	// The body was longer than the host allows.
	Truncated bool
}

// IsSuccess is 2xx.
func (r *Response) IsSuccess() bool { return r.Status >= 200 && r.Status < 300 }

// Header is the value of the first of this name; empty: there is none.
func (r *Response) Header(name string) string { return value(r.Headers, name) }

// Text is the body; bytes that are none become U+FFFD.
func (r *Response) Text() string { return strings.ToValidUTF8(string(r.Body), "\uFFFD") }

// JSON is the body's object; nil if it is none, or was cut.
func (r *Response) JSON() Object {
	object, err := alert.ParseObject(string(r.Body))
	if err != nil {
		return nil
	}
	return object
}

// RetryAfter is how many seconds the service asks to wait: Retry-After as a number, or as a date that is later than the answer's
// own. Not ok: it does not say.
func (r *Response) RetryAfter() (seconds uint32, ok bool) {
	after := strings.TrimSpace(r.Header("Retry-After"))
	if strings.Trim(after, "0123456789.") == "" {
		if number, err := strconv.ParseFloat(after, 64); err == nil {
			return uint32(min(math.Ceil(number), math.MaxUint32)), true
		}
	}
	now, ok := clock.ParseHTTPDate(r.Header("Date"))
	then, okToo := clock.ParseHTTPDate(after)
	if !ok || !okToo {
		return 0, false
	}
	return uint32(min(max(then-now, 0), math.MaxUint32)), true
}

// Kind of a failure.
type Kind uint8

const (
	// Forbidden: not permitted, or no request. Trying again changes nothing.
	Forbidden Kind = iota
	// Unreachable: no such host, no route, refused connection.
	Unreachable
	// TLS: the certificate does not hold, or no common version.
	TLS
	// Timeout: the time for the whole delivery is up.
	Timeout
	// Broken: the connection broke before the answer was complete.
	Broken
)

// Failure says why there is no answer.
type Failure struct {
	Kind Kind
	// For people; holds no secret.
	Message string
	// The service may have seen the request, or a part of it.
	Sent bool
}

func (f *Failure) Error() string { return f.Message }

// FakeHTTP answers from a script and remembers what was sent, for tests. A request beyond the script panics.
type FakeHTTP struct {
	script   []any
	Requests []*Request
}

// Answer is the next one.
func (f *FakeHTTP) Answer(status uint16, body string, headers ...Header) *FakeHTTP {
	f.script = append(f.script, &Response{Status: status, Body: []byte(body), Headers: headers})
	return f
}

// Fail: the next request does not get through.
func (f *FakeHTTP) Fail(kind Kind) *FakeHTTP {
	messages := [...]string{"the host is not permitted", "connection refused", "the certificate does not hold",
		"the time for the delivery is up", "the connection broke"}
	f.script = append(f.script, &Failure{kind, messages[kind], kind == Timeout || kind == Broken})
	return f
}

// Left is how many answers nobody has asked for yet.
func (f *FakeHTTP) Left() int { return len(f.script) }

func (f *FakeHTTP) Send(request *Request) (*Response, error) {
	f.Requests = append(f.Requests, request)
	if len(f.script) == 0 {
		panic("request " + strconv.Itoa(len(f.Requests)) + " has no answer in the script")
	}
	next := f.script[0]
	f.script = f.script[1:]
	if failure, ok := next.(*Failure); ok {
		return nil, failure
	}
	return next.(*Response), nil
}
