// The same output in every language: tests/it/worlds_by_language.rs.
package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"streamalert/sdk/log"
	"streamalert/sdk/output"
	"streamalert/sdk/worlds/misbehave"
)

func init() {
	output.Add(output.Output{
		Service:     "edge",
		Description: "Rings whoever is on call",
		Settings: []output.Setting{
			output.SecretSetting("url", "Where to ring"),
			output.SecretSetting("token", "Who we are").Optional(),
			output.PlainSetting("team", "Whom to ring").Optional(),
		},
		Hosts:      []string{"{url}"},
		Rate:       2.5,
		Idempotent: true,
		Validate:   validate,
	}, deliver)
}

func validate(settings output.Settings) []output.Fault {
	if team := settings.Get("team"); team != "" && !strings.HasPrefix(team, "#") {
		return []output.Fault{{Setting: "team", Message: "begins with #"}}
	}
	return nil
}

func deliver(parcel *output.Parcel, http output.HTTP) output.Disposition {
	title := parcel.Alert.Title()
	misbehave.As(title)
	switch title {
	case "reject":
		return output.Reject("nobody is on call")
	case "not now":
		return output.Retry("nobody is awake").After(7).Progress(parcel.Progress + "+")
	case "in two steps":
		return twoSteps(parcel, http)
	}
	return output.Answer(http.Send(request(parcel)))
}

func token(parcel *output.Parcel) string {
	if token := parcel.Setting("token"); token != "" {
		return token
	}
	return "none"
}

func request(parcel *output.Parcel) *output.Request {
	body := output.Object{
		"text": output.Shorten(parcel.Alert.Title(), 20, output.Chars), "once": parcel.IdempotencyKey, "attempt": parcel.Attempt,
		"now": parcel.Now, "team": parcel.Setting("team"), "magic": parcel.MagicText("text"),
		"shown": slices.Sorted(maps.Keys(parcel.Shown())), "output": parcel.Output(),
	}
	return output.Post(parcel.Setting("url")).Query("q", "a b&ü").Bearer(token(parcel)).JSON(body)
}

func twoSteps(parcel *output.Parcel, http output.HTTP) output.Disposition {
	first, refused := output.Accepted(http.Send(request(parcel)))
	if refused != nil {
		return *refused
	}
	log.Info("the token is " + token(parcel))
	id := fmt.Sprint(first.JSON()["id"])
	if _, refused := output.Accepted(http.Send(output.Get(parcel.Setting("url")+"/"+id).Header("X-Step", "2"))); refused != nil {
		return *refused
	}
	return output.Delivered("case " + id)
}

func main() {}
