// The active clock of the page: one for all steps, fed by what the person does.

import { ActiveClock } from "../active.js";

export const clock = new ActiveClock();
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"])
  document.addEventListener(kind, () => clock.touch(), { passive: true });
document.addEventListener("visibilitychange", () => clock.show(!document.hidden));
