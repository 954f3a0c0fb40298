// What is chosen: the checkpoint and the followed frequency. Everything that depends on them is told.

const state = { index: run.steps.length - 1, followed: run.keys.length ? run.keys[0] : null, playing: false };
const listeners = [];
const stepNow = () => run.steps[state.index];

/** Change the state and tell the views: what changed is "step" or "followed". */
function change(changes) {
  const what = new Set();
  if ("index" in changes) {
    const index = Math.max(0, Math.min(run.steps.length - 1, changes.index));
    if (index !== state.index) what.add("step");
    state.index = index;
  }
  if ("followed" in changes && changes.followed !== state.followed) {
    state.followed = changes.followed;
    what.add("followed");
  }
  if (what.size) listeners.forEach((told) => told(what));
}

const goTo = (step) => change({ index: nearest(run.steps, step) });
const follow = (k) => change({ followed: k });
const stamp = () => `-step-${stepNow()}`;

listeners.push((what) => cards.forEach((card) => {
  if (what.has("step") || card.painter.follows) redraw(card);
}));
