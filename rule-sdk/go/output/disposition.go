package output

import (
	"errors"
	"strconv"
	"strings"
)

type outcome uint8

const (
	isDelivered outcome = iota + 1
	isRetry
	isReject
)

// Disposition is what came of an attempt; made by Delivered, Retry, Reject or Answer.
type Disposition struct {
	kind     outcome
	text     string
	after    uint32
	hasAfter bool
	progress string
}

// Delivered: the service has it. The text says where, for people: a URL, an id; it may be empty.
func Delivered(place string) Disposition { return Disposition{kind: isDelivered, text: place} }

// Retry: not now, for this reason.
func Retry(reason string) Disposition { return Disposition{kind: isRetry, text: reason} }

// Reject: never; the service refuses it, so that trying again is no use. The operator is told.
func Reject(reason string) Disposition { return Disposition{kind: isReject, text: reason} }

// After is how many seconds to wait, if it is a retry; the host may wait longer.
func (d Disposition) After(seconds uint32) Disposition {
	if d.kind == isRetry {
		d.after, d.hasAfter = seconds, true
	}
	return d
}

// Progress is what the next attempt finds in Parcel.Progress, if it is a retry.
func (d Disposition) Progress(done string) Disposition {
	if d.kind == isRetry {
		d.progress = done
	}
	return d
}

// Answer is the usual reading of one: 2xx is delivered; 408, 425, 429 and 5xx are tried again after what the service asks for; so is
// a request that did not get through, unless it was forbidden; all else is refused for good.
//
//	return output.Answer(http.Send(request))
func Answer(response *Response, err error) Disposition {
	if refused := refusal(response, err); refused != nil {
		return *refused
	}
	return Delivered("")
}

// Accepted is the answer if it is 2xx, otherwise what Answer makes of it: for outputs that go on from there.
//
//	first, refused := output.Accepted(http.Send(request))
//	if refused != nil {
//		return *refused
//	}
func Accepted(response *Response, err error) (*Response, *Disposition) {
	if refused := refusal(response, err); refused != nil {
		return nil, refused
	}
	return response, nil
}

func refusal(response *Response, err error) *Disposition {
	var refused Disposition
	var failure *Failure
	switch {
	case errors.As(err, &failure) && failure.Kind == Forbidden:
		refused = Reject(failure.Message)
	case err != nil:
		refused = Retry(err.Error())
	case response.IsSuccess():
		return nil
	case response.Status == 408 || response.Status == 425 || response.Status == 429 || response.Status >= 500:
		refused = Retry(reason(response))
		if seconds, ok := response.RetryAfter(); ok {
			refused = refused.After(seconds)
		}
	default:
		refused = Reject(reason(response))
	}
	return &refused
}

// Characters of an answer's body that go into a reason.
const bodyShown = 300

func reason(response *Response) string {
	// Of a large body only the beginning is looked at.
	head := Response{Body: response.Body[:min(len(response.Body), 4*bodyShown)]}
	body := Shorten(strings.TrimSpace(Plain(head.Text())), bodyShown, Chars)
	status := strconv.Itoa(int(response.Status))
	if phrase := phrases[response.Status]; phrase != "" {
		status += " " + phrase
	}
	if body == "" {
		return "answered " + status
	}
	return "answered " + status + ": " + body
}

// What people know a status by; of those that outputs meet.
var phrases = map[uint16]string{
	301: "Moved Permanently", 302: "Found", 303: "See Other", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request",
	401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
	410: "Gone", 413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content", 425: "Too Early",
	429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}
