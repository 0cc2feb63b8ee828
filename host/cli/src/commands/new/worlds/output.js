import { Request, Setting, answer, output, shorten } from "streamalert-js";

export const @camel@Output = output(
  {
    service: "@service@",
    description: "Say here what happens to an alert",
    settings: [
      Setting.secret("url", "Where alerts are posted"),
      Setting.plain("team", "Whom they are for").optional(),
    ],
    // The host of the setting `url`, and no other.
    hosts: ["{url}"],
  },
  (parcel, http) => {
    const { alert } = parcel;
    const body = { id: parcel.idempotencyKey, title: shorten(alert.title, 200), severity: alert.severity, team: parcel.setting("team") };
    // 2xx is delivered, 429 and 5xx are tried again, all else is refused and told to the operator.
    return answer(http.send(Request.post(parcel.required("url")).json(body)));
  },
);
