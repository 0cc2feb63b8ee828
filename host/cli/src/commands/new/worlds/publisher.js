import { publisher } from "streamalert-js";

export const @camel@Publisher = publisher(
  { name: "@ident@", description: "A line of text in the place of the record." },
  (alert, publication, target) => {
    // What the publisher before it left, at first the default publication; an Error that is thrown holds the delivery back.
    const { record, ...rest } = publication;
    // `@slack.text`, where the output is one of Slack, tells it how to show the alert.
    return { ...rest, [target.magic("text")]: `${alert.title} (${alert.severity})` };
  },
);
