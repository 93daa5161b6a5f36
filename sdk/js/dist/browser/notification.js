/** Options of showNotification that a push may set in its options. */
const known = ["actions", "badge", "body", "dir", "icon", "image", "lang", "renotify", "requireInteraction", "silent", "tag", "timestamp", "vibrate"];
/** Shows a message, in the place of the one it overrides; a message that is shown again takes its own place, without a sound. */
export async function show(registration, m) {
    if (m.override)
        await withdraw(registration, m.override);
    const options = {};
    for (const name of known)
        if (m.options && name in m.options)
            options[name] = m.options[name];
    const data = { borealis: { id: m.id, url: m.url, message: m } };
    options["tag"] ?? (options["tag"] = m.id);
    if (m.alert !== undefined)
        options["body"] ?? (options["body"] = m.alert);
    if (m.silent) {
        options["silent"] = true;
        delete options["vibrate"]; // together they are an error
        delete options["renotify"];
    }
    await registration.showNotification(m.title || m.alert || "", { ...options, data });
}
/** Takes a message off the screen. */
export async function withdraw(registration, id) {
    for (const n of await registration.getNotifications()) {
        if (n.data?.borealis?.id === id)
            n.close();
    }
}
