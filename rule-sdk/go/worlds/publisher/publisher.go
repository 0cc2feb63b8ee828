// The same publishers in every language: tests/it/worlds_by_language.rs.
package main

import (
	"errors"
	"fmt"

	"streamalert/sdk/publisher"
	"streamalert/sdk/worlds/misbehave"
)

func init() {
	publisher.Add(publisher.Publisher{
		Name: "edge_brief", Description: "Without the record, and with a text of one line.",
	}, brief)
	publisher.Add(publisher.Publisher{Name: "edge_seen", Description: "What an alert says of itself."}, seen)
	publisher.Add(publisher.Publisher{Name: "edge_refuse", Description: "Refuses."}, refuse)
	for _, word := range []string{"loop", "deep", "grow", "fail"} {
		publisher.Add(publisher.Publisher{Name: "edge_" + word, Description: "Misbehaves."},
			func(_ *publisher.Alert, publication publisher.Object, _ publisher.Target) (publisher.Object, error) {
				misbehave.As(word)
				return publication, nil
			})
	}
}

func brief(alert *publisher.Alert, publication publisher.Object, target publisher.Target) (publisher.Object, error) {
	delete(publication, "record")
	publication[target.Magic("text")] = fmt.Sprintf("%s (%s)", alert.Title(), alert.Severity())
	return publication, nil
}

func seen(alert *publisher.Alert, publication publisher.Object, target publisher.Target) (publisher.Object, error) {
	// Empty stands for nothing.
	orNothing := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	var createdAt any
	if seconds, ok := alert.CreatedAt(); ok {
		createdAt = seconds
	}
	publication["seen"] = publisher.Object{
		"id": alert.ID(), "rule_name": alert.RuleName(), "title": alert.Title(), "severity": alert.Severity(),
		"description": alert.Description(), "created": alert.Created(), "created_at": createdAt,
		"event_time": orNothing(alert.EventTime()), "cluster": alert.Cluster(), "log_source": alert.LogSource(),
		"service": alert.Source().Service, "object": alert.Source().Object, "context": alert.Context(), "record": alert.Record(),
		"tags": alert.Tags(), "references": alert.References(), "dedup_key": orNothing(alert.DedupKey()),
		"outputs": alert.Outputs(), "staged": alert.Staged(), "other": alert.Get("other"),
		"output": target.Service + " and " + target.Descriptor,
	}
	return publication, nil
}

func refuse(*publisher.Alert, publisher.Object, publisher.Target) (publisher.Object, error) {
	return nil, errors.New("the alert names no rule")
}

func main() {}
