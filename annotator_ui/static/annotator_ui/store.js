// What must outlive the page: entries in IndexedDB, oldest first, in two lists.
// "waiting" answers go to the server again, "refused" ones are shown until their person has read them.

const NAME = "maquette";
const LISTS = ["waiting", "refused"];

/** A request or a transaction of IndexedDB as a promise. */
function settled(request, event = "onsuccess") {
  return new Promise((resolve, reject) => {
    request[event] = () => resolve(request.result);
    request.onerror = request.onabort = () => reject(request.error);
  });
}

export class Store {
  /** factory: indexedDB or its like. */
  constructor(factory) {
    this.factory = factory;
    this.database = null;
  }

  #open() {
    this.database ||= this.#connect().catch((problem) => {
      this.database = null;
      throw problem;
    });
    return this.database;
  }

  async #connect() {
    const request = this.factory.open(NAME, 1);
    request.onupgradeneeded = () => LISTS.forEach((list) => request.result.createObjectStore(list, { keyPath: "id", autoIncrement: true }));
    const database = await settled(request);
    // Another tab wants a newer form of the database: make way, and open again when needed.
    database.onversionchange = () => {
      database.close();
      this.database = null;
    };
    database.onclose = () => (this.database = null);
    return database;
  }

  /** Entries of a list that belong to `user`, oldest first; each has an `id`. */
  async all(list, user) {
    const database = await this.#open();
    const rows = await settled(database.transaction(list).objectStore(list).getAll());
    return rows.filter((row) => row.user === user);
  }

  /** Resolves once the entry is on disk. */
  async add(list, entry) {
    await this.#write([list], (open) => open(list).add(entry));
  }

  async remove(list, id) {
    await this.#write([list], (open) => open(list).delete(id));
  }

  /** Waiting becomes refused in one step, with what the server said. */
  async refuse(entry, problem) {
    const { id, ...rest } = entry;
    await this.#write(LISTS, (open) => {
      open("waiting").delete(id);
      open("refused").add({ ...rest, code: problem.code, message: problem.message });
    });
  }

  async #write(lists, change) {
    const database = await this.#open();
    // "strict": the disk has it before the answer counts as kept, also when the battery dies.
    const transaction = database.transaction(lists, "readwrite", { durability: "strict" });
    change((list) => transaction.objectStore(list));
    await settled(transaction, "oncomplete");
  }
}
