"""The output @service@."""

from streamalert_sdk import Request, Setting, answer, output, shorten


@output(
    service="@service@",
    settings=[
        Setting.secret("url", "Where alerts are posted"),
        Setting.plain("team", "Whom they are for").optional(),
    ],
    # The host of the setting `url`, and no other.
    hosts=["{url}"],
)
def @ident@_output(parcel, http):
    """Say here what happens to an alert"""
    alert = parcel.alert
    body = {"id": parcel.idempotency_key, "title": shorten(alert.title, 200), "severity": alert.severity}
    if parcel.setting("team"):
        body["team"] = parcel.setting("team")
    # 2xx is delivered, 429 and 5xx are tried again, all else is refused and told to the operator.
    return answer(http.send(Request.post(parcel.required("url")).json(body)))
