import { retryAfterMost } from "./backoff.js";
import { LaterError, RefusedError, version } from "./options.js";
import { forNew } from "./profile.js";
import { base64, encodeUTF8 } from "./text.js";
/** Makes one call of the device API. */
export function call(d, method, path, as, body) {
    const headers = { "X-App-Key": d.o.appKey };
    if (as)
        headers["Authorization"] = "Basic " + base64(encodeUTF8(`${as.registration_id}:${as.secret}`));
    if (body !== undefined)
        headers["Content-Type"] = "application/json";
    return d.o.on.request({ method, url: d.o.server + path, headers, ...(body !== undefined ? { body: JSON.stringify(body) } : {}) });
}
/** Gets the device its identity. */
export async function register(d) {
    const { install_id, consent } = d.state.identity;
    const signature = await d.o.sign?.(install_id);
    const answer = await call(d, "POST", "/device/v1/register", undefined, {
        app_key: d.o.appKey,
        install_id,
        platform: d.o.platform,
        package: d.o.package,
        device: { ...d.o.device, sdk_version: "js/" + version },
        consent,
        signature,
    });
    if (answer.status !== 200)
        throw refusal(answer);
    const got = JSON.parse(answer.body);
    if (!got.registration_id || !got.secret)
        throw new Error(`the answer to the registration is not one: ${answer.body.slice(0, 100)}`);
    const id = d.state.identity;
    if (id.install_id !== install_id) {
        // Ended meanwhile.
        id.ending = { registration_id: got.registration_id, secret: got.secret };
        return d.state.save("identity");
    }
    if (id.known && id.known !== got.registration_id) {
        // First, so that it is not forgotten if the process ends between the two.
        const w = d.state.words;
        w.pending = forNew(w.said);
        w.pending_tokens = Object.fromEntries(Object.entries(w.tokens).filter(([, t]) => t.token !== ""));
        await d.saveWords();
    }
    id.registration_id = id.known = got.registration_id;
    id.secret = got.secret;
    id.mqtt = got.mqtt ?? [];
    id.keep_alive = got.keep_alive ?? 0;
    if (got.server_time)
        id.offset = got.server_time - d.o.now();
    await d.state.save("identity");
    d.emit({ kind: "registered", registrationID: got.registration_id });
}
/** An answer that is no success, as an error. */
export function refusal(a) {
    if (a.status >= 500 || [408, 425, 429].includes(a.status)) {
        const seconds = Number(a.retryAfter ?? 0);
        return new LaterError(a.status, Number.isFinite(seconds) ? Math.min(Math.max(seconds * 1000, 0), retryAfterMost) : 0);
    }
    let reason = "";
    try {
        reason = String(JSON.parse(a.body).detail ?? "");
    }
    catch {
        // A proxy may have answered.
    }
    return new RefusedError("register", a.status, reason);
}
/** Makes the registration void; what was said of the device stays. */
export async function forget(d, registrationID) {
    const id = d.state.identity;
    if (id.registration_id !== registrationID)
        return;
    delete id.registration_id;
    delete id.secret;
    delete id.mqtt;
    delete id.keep_alive;
    await d.state.save("identity");
}
/** Tells the server of an end it has not heard of. */
export async function tellEnd(d) {
    const old = d.state.identity.ending;
    if (!old)
        return;
    const answer = await call(d, "DELETE", "/device/v1/registration", old);
    const gone = (answer.status >= 200 && answer.status < 300) || answer.status === 401 || answer.status === 404;
    if (!gone)
        throw refusal(answer);
    delete d.state.identity.ending;
    await d.state.save("identity");
}
