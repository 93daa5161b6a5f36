/** Bounds of what is kept. */
export const maxSeen = 500;
export const maxReceipts = 1000;
export const batchSize = 100;
export const maxTags = 1000; // in one pending change
export const maxMembers = 64; // attributes, token channels
export const noWords = () => ({ said: {}, pending: {}, tokens: {}, pending_tokens: {}, off: false, silence: null });
/** Names of the documents. */
export const documents = ["identity", "profile", "receipts", "seen"];
/** Everything a device remembers, and its way into the storage. */
export class State {
    constructor(storage) {
        this.storage = storage;
        this.identity = {};
        this.words = noWords();
        this.receipts = [];
        this.seen = { messages: [], gone: [] };
        this.last = Promise.resolve();
    }
    async load() {
        const read = async (name, otherwise) => {
            const text = await this.storage.get(name);
            return text ? JSON.parse(text) : otherwise;
        };
        this.identity = await read("identity", {});
        this.words = { ...noWords(), ...(await read("profile", {})) };
        this.receipts = await read("receipts", []);
        this.seen = await read("seen", this.seen);
    }
    /** Stores a document as it is when its turn comes; fulfilled when it is stored. */
    save(name, merged) {
        return this.turn(() => this.storage.put(name, JSON.stringify(merged ? merged() : this.document(name))));
    }
    remove(name) {
        return this.turn(() => this.storage.remove(name));
    }
    /** One access after the other, in the order they were asked for. */
    turn(work) {
        const done = this.last.then(work);
        this.last = done.catch(() => undefined);
        return done;
    }
    document(name) {
        return { identity: this.identity, profile: this.words, receipts: this.receipts, seen: this.seen }[name];
    }
}
/** list with v at its end, without the oldest beyond limit. */
export const bounded = (list, v, limit) => [...list, v].slice(-limit);
