import { Json } from "streamalert-as";
import { Alert, Target, publisher } from "streamalert-as/publishing";

publisher("@ident@", "A line of text in the place of the record.", @camel@Publisher);

/** Gets what the publisher before it left, at first the default publication; `return refuse(reason)` holds the delivery back. */
export function @camel@Publisher(json: Json, publication: Json, target: Target): Json {
  const alert = new Alert(json);
  publication.delete("record");
  // `@slack.text`, where the output is one of Slack, tells it how to show the alert.
  return publication.set(target.magic("text"), alert.title + " (" + alert.severity + ")");
}
