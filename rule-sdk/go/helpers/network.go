package helpers

import (
	"strconv"
	"strings"

	"streamalert/sdk/log"
)

// Addresses have 16 bytes here, those of IPv4 as ::ffff:10.0.0.1: an IPv4 address dressed as IPv6 is that IPv4 address.
type address [16]byte

func (a *address) is4() bool {
	for _, b := range a[:10] {
		if b != 0 {
			return false
		}
	}
	return a[10] == 0xff && a[11] == 0xff
}

// Bits of an address, and of what stands before an IPv4 address in it.
const (
	addressBits = 128
	mappedBits  = 96
)

type network struct {
	address address
	bits    int
}

func (n *network) contains(a *address) bool {
	// ::/0 has no IPv4 addresses.
	if n.bits < mappedBits && a.is4() {
		return false
	}
	whole, rest := n.bits/8, n.bits%8
	for index := range whole {
		if n.address[index] != a[index] {
			return false
		}
	}
	return rest == 0 || (n.address[whole]^a[whole])>>(8-rest) == 0
}

// InNetwork says whether the address lies in one of the networks, given as "10.0.0.0/8", "2001:db8::/32", or a single address.
// Bits behind the prefix do not matter: 10.0.0.5/24 is 10.0.0.0/24.
//
// Something that is no address is in no network. What is no network is passed over, with a line in the log. The networks are
// read at each call; a long list is better kept as Networks.
func InNetwork(ip string, networks ...string) bool {
	a, ok := parseIP(ip)
	if !ok {
		return false
	}
	for _, text := range networks {
		n, ok := parseNetwork(text)
		if !ok {
			log.Warn("in_network: " + strconv.Quote(text) + " is no network")
		} else if n.contains(&a) {
			return true
		}
	}
	return false
}

// Networks are read once, for a variable in a file of rules.
type Networks []network

// NewNetworks passes over what is no network, with a line in the log.
func NewNetworks(networks ...string) Networks {
	var found Networks
	for _, text := range networks {
		if n, ok := parseNetwork(text); ok {
			found = append(found, n)
		} else {
			log.Warn("networks: " + strconv.Quote(text) + " is no network")
		}
	}
	return found
}

// Contain says whether the address lies in one of them; false for something that is no address.
func (n Networks) Contain(ip string) bool {
	a, ok := parseIP(ip)
	if !ok {
		return false
	}
	for index := range n {
		if n[index].contains(&a) {
			return true
		}
	}
	return false
}

// ValidIP says whether this is an IPv4 or IPv6 address in its ordinary written form: four decimal numbers without leading
// zeros, or IPv6, ::1 included. A network, a port or a zone is no part of an address.
func ValidIP(ip string) bool {
	_, ok := parseIP(ip)
	return ok
}

var (
	private4 = constant("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
	private6 = constant("fc00::/7")
	// Shared, loopback, link-local, for protocols, for documentation, for benchmarks, multicast and reserved.
	special4 = constant("0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3")
	// What is given out for the internet so far, and what of it is for protocols and documentation.
	given6   = constant("2000::/3")
	special6 = constant("2001::/23", "2001:db8::/32", "3fff::/20")
)

func constant(texts ...string) (networks Networks) {
	for _, text := range texts {
		n, _ := parseNetwork(text)
		networks = append(networks, n)
	}
	return networks
}

// IsPublicIP says whether the address can be routed on the internet: not private, shared (100.64.0.0/10), loopback, link-local,
// multicast, reserved, for documentation, or unspecified. False for something that is no address.
func IsPublicIP(ip string) bool {
	a, ok := parseIP(ip)
	if !ok {
		return false
	}
	if a.is4() {
		return !private4.Contain(ip) && !special4.Contain(ip)
	}
	return given6.Contain(ip) && !special6.Contain(ip)
}

// IsPrivateIP says whether the address is for use within one's own network: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or
// fc00::/7. False for something that is no address. Loopback and link-local are neither private nor public.
func IsPrivateIP(ip string) bool { return private4.Contain(ip) || private6.Contain(ip) }

func parseNetwork(text string) (n network, ok bool) {
	at := strings.IndexByte(text, '/')
	if at < 0 {
		a, ok := parseIP(text)
		return network{a, addressBits}, ok
	}
	a, ok := parseIP(text[:at])
	bits, good := decimal(text[at+1:], addressBits)
	if !ok || !good {
		return network{}, false
	}
	if strings.IndexByte(text[:at], ':') < 0 {
		bits += mappedBits
	}
	return network{a, bits}, bits <= addressBits
}

// A number without leading zeros, up to most.
func decimal(text string, most int) (value int, ok bool) {
	if text == "" || len(text) > 3 || len(text) > 1 && text[0] == '0' {
		return 0, false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	return value, value <= most
}

func parseIP(text string) (a address, ok bool) {
	if strings.IndexByte(text, ':') >= 0 {
		return parse6(text)
	}
	a[10], a[11] = 0xff, 0xff
	ok = parse4(text, a[12:])
	return a, ok
}

func parse4(text string, out []byte) bool {
	for index := range 4 {
		part := text
		at := strings.IndexByte(text, '.')
		if at >= 0 {
			part, text = text[:at], text[at+1:]
		}
		if (at >= 0) != (index < 3) {
			return false
		}
		value, ok := decimal(part, 255)
		if !ok {
			return false
		}
		out[index] = byte(value)
	}
	return true
}

func parse6(text string) (a address, ok bool) {
	// Bytes that are written, and where the gap between two colons is.
	written, gap := 0, -1
	if strings.HasPrefix(text, "::") {
		gap, text = 0, text[2:]
	}
	for text != "" {
		if written == len(a) {
			return a, false
		}
		part := text
		at := strings.IndexByte(text, ':')
		if at >= 0 {
			part = text[:at]
		}
		if at < 0 && strings.IndexByte(part, '.') >= 0 {
			if written > len(a)-4 || !parse4(part, a[written:]) {
				return a, false
			}
			written += 4
			break
		}
		value := 0
		if part == "" || len(part) > 4 {
			return a, false
		}
		for _, c := range []byte(part) {
			digit := strings.IndexByte("0123456789abcdef", c|0x20)
			if digit < 0 || c < '0' {
				return a, false
			}
			value = value<<4 | digit
		}
		a[written], a[written+1] = byte(value>>8), byte(value)
		written += 2
		if at < 0 {
			break
		}
		text = text[at+1:]
		switch {
		case strings.HasPrefix(text, ":"):
			if gap >= 0 {
				return a, false
			}
			gap, text = written, text[1:]
		case text == "":
			return a, false
		}
	}
	if gap < 0 {
		return a, written == len(a)
	}
	if written == len(a) {
		return a, false
	}
	copy(a[len(a)-(written-gap):], a[gap:written])
	clear(a[gap : len(a)-(written-gap)])
	return a, true
}
