'use strict';

/**
 * An undo history with merging: quick successive edits of the same field become one step,
 * so that one press of Ctrl+Z takes back a word and not a letter.
 */
class UndoStack {
  constructor({ limit = 200, mergeWithinMs = 700, now = Date.now } = {}) {
    this.limit = limit;
    this.mergeWithinMs = mergeWithinMs;
    this.now = now;
    this.done = [];
    this.undone = [];
    this.listeners = new Set();
  }

  push({ field, before, after }) {
    if (before === after) return;
    const at = this.now();
    const last = this.done[this.done.length - 1];
    if (last && last.field === field && at - last.at < this.mergeWithinMs) {
      last.after = after;
      last.at = at;
    } else {
      this.done.push({ field, before, after, at });
      if (this.done.length > this.limit) this.done.shift();
    }
    this.undone.length = 0;
    this.announce();
  }

  undo(apply) {
    const step = this.done.pop();
    if (!step) return false;
    apply(step.field, step.before);
    this.undone.push(step);
    this.announce();
    return true;
  }

  redo(apply) {
    const step = this.undone.pop();
    if (!step) return false;
    apply(step.field, step.after);
    this.done.push({ ...step, at: 0 });
    this.announce();
    return true;
  }

  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  announce() {
    const state = { canUndo: this.done.length > 0, canRedo: this.undone.length > 0 };
    for (const listener of this.listeners) listener(state);
  }
}

function bindKeys(stack, apply, target = document) {
  const onKey = (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
    event.preventDefault();
    if (event.shiftKey) stack.redo(apply);
    else stack.undo(apply);
  };
  target.addEventListener('keydown', onKey);
  return () => target.removeEventListener('keydown', onKey);
}

module.exports = { UndoStack, bindKeys };
