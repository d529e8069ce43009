// Undo and redo. An edit is an object {label, do(), undo(), merge?}; equal `merge` keys of one drag become one step.

export class History {
  constructor(onChange = () => {}) {
    this.done = [];
    this.undone = [];
    this.onChange = onChange;
  }

  get canUndo() {
    return this.done.length > 0;
  }

  get canRedo() {
    return this.undone.length > 0;
  }

  /** Do an edit and remember it. */
  run(edit) {
    edit.do();
    const last = this.done.at(-1);
    if (edit.merge !== undefined && last && last.merge === edit.merge && !this.undone.length) {
      this.done[this.done.length - 1] = { ...edit, undo: last.undo };
    } else {
      this.done.push(edit);
    }
    this.undone = [];
    this.onChange();
  }

  undo() {
    const edit = this.done.at(-1);
    if (!edit) return false;
    edit.undo();
    this.undone.push(this.done.pop());
    this.onChange();
    return true;
  }

  redo() {
    const edit = this.undone.at(-1);
    if (!edit) return false;
    edit.do();
    this.done.push(this.undone.pop());
    this.onChange();
    return true;
  }

  clear() {
    this.done = [];
    this.undone = [];
    this.onChange();
  }
}

/** An edit that sets a value: before and after are kept, `set` applies one of them. */
export function change(label, set, before, after, merge) {
  return { label, merge, do: () => set(after), undo: () => set(before) };
}
