import { Fault, Request, Setting, accepted, answer, delivered, log, output, reject, retry, shorten } from "streamalert-js";
import { misbehave } from "../../misbehave.js";

/** The same output in every language: tests/it/worlds_by_language.rs. */
export const edge = output(
  {
    service: "edge",
    description: "Rings whoever is on call",
    settings: [
      Setting.secret("url", "Where to ring"),
      Setting.secret("token", "Who we are").optional(),
      Setting.plain("team", "Whom to ring").optional(),
    ],
    hosts: ["{url}"],
    rate: 2.5,
    idempotent: true,
    validate: (settings) => (settings.get("team")?.startsWith("#") === false ? [new Fault("team", "begins with #")] : []),
  },
  (parcel, http) => {
    const { title } = parcel.alert;
    misbehave(title);
    if (title === "reject") return reject("nobody is on call");
    if (title === "not now") return retry("nobody is awake").after(7).progress(`${parcel.progress ?? ""}+`);
    const request = Request.post(parcel.required("url")).query("q", "a b&ü").bearer(parcel.setting("token") ?? "none");
    request.json({
      text: shorten(title, 20), once: parcel.idempotencyKey, attempt: parcel.attempt, now: parcel.now, team: parcel.setting("team"),
      magic: parcel.magicText("text"), shown: Object.keys(parcel.shown()).sort(), output: parcel.output,
    });
    if (title !== "in two steps") return answer(http.send(request));
    const first = accepted(http.send(request));
    log.info(`the token is ${parcel.setting("token")}`);
    accepted(http.send(Request.get(`${parcel.required("url")}/${first.json().id}`).header("X-Step", "2")));
    return delivered(`case ${first.json().id}`);
  },
);
