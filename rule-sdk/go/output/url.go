package output

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
)

// URL is taken apart just enough. The host reads it again and is stricter.
type URL struct {
	IsHTTPS bool
	// In lower case.
	Host string
	// 0: none is named.
	Port uint16
	// Without query; "/" if there is none.
	Path string
}

// ParseURL makes it of a text, or says why it is none, without any of its text: a webhook's URL is a secret.
func ParseURL(text string) (*URL, error) {
	no := func(reason string) (*URL, error) { return nil, errors.New("is no URL: " + reason) }
	scheme, rest, found := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "https" && scheme != "http" {
		return no("it begins with neither https:// nor http://")
	}
	if strings.ContainsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) {
		return no("there is a blank or control character in it")
	}
	end := strings.IndexAny(rest, `/?#\`)
	if end < 0 {
		end = len(rest)
	}
	authority, rest := rest[:end], rest[end:]
	if strings.Contains(authority, "@") {
		return no("it holds a user name; credentials have settings of their own")
	}
	host, port, hasPort := authority, "", false
	if at := strings.LastIndexByte(authority, ':'); at >= 0 && !strings.Contains(authority[at:], "]") {
		host, port, hasPort = authority[:at], authority[at+1:], true
	}
	isV6 := len(host) > 2 && strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	odd := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsNumber(c) && !unicode.IsMark(c) && !strings.ContainsRune("-._", c)
	}
	if !isV6 && (host == "" || host[0] == '.' || strings.ContainsFunc(host, odd)) {
		return no("its host is no name and no address")
	}
	url := &URL{IsHTTPS: scheme == "https", Host: strings.ToLower(host)}
	if hasPort {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return no("its port is no number up to 65535")
		}
		url.Port = uint16(number)
	}
	if url.Path = rest; strings.IndexAny(rest, "?#") >= 0 {
		url.Path = rest[:strings.IndexAny(rest, "?#")]
	}
	if url.Path == "" {
		url.Path = "/"
	}
	return url, nil
}

// Origin is scheme, host and port, without a slash behind: what a path is put behind.
func (u *URL) Origin() string {
	origin := "http://" + u.Host
	if u.IsHTTPS {
		origin = "https://" + u.Host
	}
	if u.Port != 0 {
		origin += ":" + strconv.Itoa(int(u.Port))
	}
	return origin
}

// Percent is the text as it may stand anywhere in a URL: all but letters, digits and -._~ as %XX.
func Percent(text string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for _, c := range []byte(text) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			out.WriteByte(c)
			continue
		}
		out.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return out.String()
}
