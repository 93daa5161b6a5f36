/** Forgets everything with the process: the device is a new one each time. */
export class MemoryStorage {
    constructor() {
        this.documents = new Map();
    }
    async get(name) {
        return this.documents.get(name);
    }
    async put(name, document) {
        this.documents.set(name, document);
    }
    async remove(name) {
        this.documents.delete(name);
    }
}
