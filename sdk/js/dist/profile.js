export const isEmpty = (p) => Object.keys(p).length === 0;
/** The change that p followed by q makes: the last word about each thing wins. */
export function then(p, q) {
    const out = { ...p, ...q };
    if (q.alias !== undefined && q.alias_signature === undefined)
        delete out.alias_signature;
    if (p.attributes && q.attributes)
        out.attributes = { ...p.attributes, ...q.attributes };
    if (p.tags && q.tags)
        out.tags = tagsThen(p.tags, q.tags);
    return out;
}
function tagsThen(t, u) {
    if (u.set)
        return u;
    const [add, remove] = [u.add ?? [], u.remove ?? []];
    const others = (list) => list.filter((v) => !add.includes(v) && !remove.includes(v));
    if (t.set)
        return { set: [...others(t.set), ...add] };
    return { add: [...others(t.add ?? []), ...add], remove: [...others(t.remove ?? []), ...remove] };
}
/** Splits p into one member and the others. */
export function first(p) {
    const rest = { ...p };
    const one = {};
    const name = Object.keys(p).find((k) => k !== "alias_signature");
    for (const k of name === "alias" ? ["alias", "alias_signature"] : name ? [name] : []) {
        if (k in rest)
            one[k] = rest[k];
        delete rest[k];
    }
    return [one, rest];
}
/** What a device that has just been made must be told of all that was said: nothing has to be removed from it. */
export function forNew(p) {
    const { consent: _, ...out } = p; // the registration carries consent
    if (out.tags && !out.tags.set) {
        const add = out.tags.add ?? [];
        if (add.length > 0)
            out.tags = { add };
        else
            delete out.tags;
    }
    if (out.attributes)
        out.attributes = Object.fromEntries(Object.entries(out.attributes).filter(([, v]) => v !== null));
    if (out.alias === "")
        delete out.alias;
    return out;
}
/** p, which was said, without what need not be remembered. */
export function remembered(p) {
    return p.tags && !p.tags.set ? { ...p, tags: { add: p.tags.add ?? [] } } : p;
}
