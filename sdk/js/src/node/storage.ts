import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Storage } from "../storage.js";

/** A directory with a file for each document. */
export class FileStorage implements Storage {
  private constructor(private readonly dir: string) {}

  /** Makes the directory, readable by its owner alone, if it is not there. */
  static async open(dir: string): Promise<FileStorage> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    return new FileStorage(dir);
  }

  private file(name: string): string {
    return join(this.dir, name + ".json");
  }

  async get(name: string): Promise<string | undefined> {
    try {
      return await readFile(this.file(name), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** The file is complete on the disk before it takes the place of the older one. */
  async put(name: string, document: string): Promise<void> {
    const beside = this.file(name) + ".tmp";
    const f = await open(beside, "w", 0o600);
    try {
      await f.writeFile(document);
      await f.sync();
    } finally {
      await f.close();
    }
    await rename(beside, this.file(name));
  }

  async remove(name: string): Promise<void> {
    await rm(this.file(name), { force: true });
  }
}
