// Package output makes a package an output, which hands alerts to one service. What a package imports decides what its component
// is, so one that imports this imports neither streamalert/sdk nor the packages of parsers and publishers.
package output

import (
	"strings"

	"streamalert/sdk/internal/alert"
	"streamalert/sdk/internal/packed"
)

type (
	// Alert is an alert. Titles, records and contexts hold text from logs, so from attackers: escape it for where it goes.
	Alert = alert.Alert
	// Source is where a log came from.
	Source = alert.Source
	// Object is a JSON object. Values are nil, bool, string, int64, uint64, float64, []any and map[string]any; numbers of any
	// type, []string and map[string]string may be put into it.
	Object = alert.Object
)

// Output is what the host must know of an output. Service, Settings and Hosts are needed.
type Output struct {
	// The first half of service:descriptor; unique among all outputs that are loaded together.
	Service string
	// For whoever chooses an output.
	Description string
	// What the operator says of each descriptor.
	Settings []Setting
	// Hosts it calls: "api.example.com", "*.example.com" for every host below, "{url}" for the host of the URL in the setting url.
	Hosts []string
	// Deliveries a second that the service takes; 0: the host's own.
	Rate float64
	// The service takes a parcel once, however often it is sent.
	Idempotent bool
	// What is wrong with these settings, beyond what is checked before: required ones are there, and those whose hosts are called
	// are URLs. nil: nothing.
	Validate func(settings Settings) []Fault
}

// Setting of each descriptor; made by SecretSetting or PlainSetting.
type Setting struct {
	Name, Description string
	IsSecret          bool
	Required          bool
}

// SecretSetting lies in the secret store: webhook URLs, tokens, passwords. Required, unless Optional.
func SecretSetting(name, description string) Setting { return Setting{name, description, true, true} }

// PlainSetting lies in the configuration, for all to read. Required, unless Optional.
func PlainSetting(name, description string) Setting { return Setting{name, description, false, true} }

func (s Setting) Optional() Setting {
	s.Required = false
	return s
}

// Settings with their values, secret ones among them.
type Settings map[string]string

// Get is the value without blanks around it; empty: not given.
func (s Settings) Get(name string) string { return strings.TrimSpace(s[name]) }

// String has names only: a secret does not get into a log by being printed.
func (s Settings) String() string {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// GoString, too.
func (s Settings) GoString() string { return s.String() }

// Fault is what is wrong with a setting; Setting is empty if it is about several. Must not repeat the value of a secret one.
type Fault struct{ Setting, Message string }

// Deliver is one attempt.
type Deliver func(parcel *Parcel, http HTTP) Disposition

type added struct {
	Output
	deliver Deliver
}

var only *added

// Add makes a function the output of this component, in an init function; there is one.
func Add(output Output, deliver Deliver) {
	if only != nil {
		panic("a component is one output; there are " + only.Service + " and " + output.Service)
	}
	only = &added{output, deliver}
}

// Check is everything that is wrong with these settings: first what every output needs, then what Validate says.
func (o *Output) Check(settings Settings) []Fault {
	var faults []Fault
	for _, setting := range o.Settings {
		value := settings.Get(setting.Name)
		if value == "" {
			if setting.Required {
				faults = append(faults, Fault{setting.Name, "is required"})
			}
			continue
		}
		for _, host := range o.Hosts {
			if host != "{"+setting.Name+"}" {
				continue
			}
			if _, err := ParseURL(value); err != nil {
				faults = append(faults, Fault{setting.Name, err.Error()})
			}
		}
	}
	if len(faults) == 0 && o.Validate != nil {
		faults = o.Validate(settings)
	}
	return faults
}

// The options, as wit/delivery.wit has them.
func (o *Output) options() string {
	options := Object{"idempotent": o.Idempotent}
	if o.Rate > 0 {
		options["rate"] = o.Rate
	}
	return string(packed.AppendObject(nil, options))
}

// Parcel is what an attempt is about: one alert for one descriptor.
type Parcel struct {
	Service string
	// The second half of service:descriptor.
	Descriptor string
	// The same for each attempt, and like no other: hand it to the service wherever that has a place for one.
	IdempotencyKey string
	// 1 at first.
	Attempt uint32
	// Seconds since 1970; a guest has no clock.
	Now   uint64
	Alert *Alert
	// The alert as the publishers left it.
	Publication Object
	// What the last attempt left by Disposition.Progress; empty: nothing.
	Progress string
	Settings Settings
}

// NewParcel makes one for tests: the first attempt to deliver this alert, published as it is. What the alert does not say is that
// of a sample.
func NewParcel(service string, fields Object, settings Settings) *Parcel {
	all := alert.Sample()
	publication := alert.Sample()
	for name, value := range fields {
		all[name], publication[name] = value, value
	}
	return &Parcel{
		Service: service, Descriptor: "sample", IdempotencyKey: "0123456789abcdef0123456789abcdef", Attempt: 1, Now: 1767323100,
		Alert: alert.New(all), Publication: publication, Settings: settings,
	}
}

// Setting is the value of a setting, be it secret or not; empty: not given, or blank.
func (p *Parcel) Setting(name string) string { return p.Settings.Get(name) }

// Output is "service:descriptor".
func (p *Parcel) Output() string { return p.Service + ":" + p.Descriptor }

// Magic is what a publisher says to this output: the publication's "@service.field"; nil: nothing.
func (p *Parcel) Magic(field string) any { return p.MagicOf(p.Service, field) }

// MagicText is the same where it is a text; empty: it is none.
func (p *Parcel) MagicText(field string) string {
	text, _ := p.Magic(field).(string)
	return text
}

// MagicOf is what a publisher says to another output.
func (p *Parcel) MagicOf(service, field string) any { return p.Publication["@"+service+"."+field] }

// Shown is the publication without what is said to outputs: all that people should see.
func (p *Parcel) Shown() Object {
	shown := Object{}
	for key, value := range p.Publication {
		if !strings.HasPrefix(key, "@") {
			shown[key] = value
		}
	}
	return shown
}
