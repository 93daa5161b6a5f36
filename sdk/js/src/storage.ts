/** Keeps a few named documents. */
export interface Storage {
  /** The document, undefined if there is none. */
  get(name: string): Promise<string | undefined>;
  /** Replaces a document, whole or not at all; it has survived the end of the process when the promise is fulfilled. */
  put(name: string, document: string): Promise<void>;
  /** Deletes a document; it is no error if there is none. */
  remove(name: string): Promise<void>;
}

/** Forgets everything with the process: the device is a new one each time. */
export class MemoryStorage implements Storage {
  private readonly documents = new Map<string, string>();
  async get(name: string): Promise<string | undefined> {
    return this.documents.get(name);
  }
  async put(name: string, document: string): Promise<void> {
    this.documents.set(name, document);
  }
  async remove(name: string): Promise<void> {
    this.documents.delete(name);
  }
}
