// Poses: arrays of one [y, x] per joint, in pixels of the generator's image; [-1, -1] is a missing joint.
// Nothing here knows the page.

export const MISSING = [-1, -1];
export const isMissing = (joint) => joint[0] === -1 || joint[1] === -1;
export const copyOf = (pose) => pose.map((joint) => [...joint]);
export const isOutside = ([y, x], [height, width]) => y < 0 || x < 0 || y > height - 1 || x > width - 1;

const away = (value) => (value === -1 ? -1.01 : value); // a coordinate of exactly -1 would mean missing
const place = (y, x) => [away(y), away(x)];

/** The joints as a tree, from the joint with the most edges outwards: {parents, order}; -1: a root. */
export function treeOf(edges, count) {
  const neighbours = Array.from({ length: count }, () => []);
  for (const [a, b] of edges) {
    neighbours[a].push(b);
    neighbours[b].push(a);
  }
  const byDegree = [...neighbours.keys()].sort((a, b) => neighbours[b].length - neighbours[a].length || a - b);
  const parents = new Array(count).fill(-1);
  const order = [];
  const seen = new Set();
  for (const root of byDegree) {
    if (seen.has(root)) continue;
    const queue = [root];
    seen.add(root);
    while (queue.length) {
      const joint = queue.shift();
      order.push(joint);
      for (const next of neighbours[joint]) {
        if (seen.has(next)) continue;
        seen.add(next);
        parents[next] = joint;
        queue.push(next);
      }
    }
  }
  return { parents, order };
}

/** The joint and all that hang on it. */
export function branch(joint, { parents, order }) {
  const found = new Set([joint]);
  for (const other of order) if (found.has(parents[other])) found.add(other);
  return found;
}

/**
 * The pose with one joint at another place. With `keepLengths`, the joint turns about its parent with all that hangs
 * on it; a root takes the whole pose along.
 */
export function dragged(pose, joint, [y, x], tree, keepLengths) {
  const result = copyOf(pose);
  const parent = tree.parents[joint];
  if (!keepLengths || isMissing(pose[joint]) || (parent >= 0 && isMissing(pose[parent]))) {
    result[joint] = place(y, x);
    return result;
  }
  if (parent < 0) return moved(pose, y - pose[joint][0], x - pose[joint][1]);
  const [py, px] = pose[parent];
  const turn = Math.atan2(y - py, x - px) - Math.atan2(pose[joint][0] - py, pose[joint][1] - px);
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  for (const other of branch(joint, tree)) {
    if (isMissing(pose[other])) continue;
    const [dy, dx] = [pose[other][0] - py, pose[other][1] - px];
    result[other] = place(py + sin * dx + cos * dy, px + cos * dx - sin * dy);
  }
  return result;
}

export const moved = (pose, dy, dx) =>
  pose.map((joint) => (isMissing(joint) ? [...MISSING] : place(joint[0] + dy, joint[1] + dx)));

/** The pose seen in a mirror: left and right joints change their names too. */
export const mirrored = (pose, order, width) =>
  order.map((joint) => (isMissing(pose[joint]) ? [...MISSING] : place(pose[joint][0], width - 1 - pose[joint][1])));

/** Root of the mean squared length of pairs of joints; null: none is found. */
export function scaleOf(pose, sides) {
  const squares = sides
    .filter(([a, b]) => !isMissing(pose[a]) && !isMissing(pose[b]))
    .map(([a, b]) => (pose[a][0] - pose[b][0]) ** 2 + (pose[a][1] - pose[b][1]) ** 2);
  return squares.length ? Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / squares.length) : null;
}

/** The mean of joints; null: one is missing. */
export function middleOf(pose, joints) {
  if (!joints.length || joints.some((joint) => isMissing(pose[joint]))) return null;
  const sum = (axis) => joints.reduce((total, joint) => total + pose[joint][axis], 0) / joints.length;
  return [sum(0), sum(1)];
}

/** Poses in any unit, brought to the size and place of a person: all by the same factor, around their mean middle. */
export function fitted(poses, person, { sides, required }, [height, width]) {
  const size = Math.max(...poses.map((pose) => scaleOf(pose, sides) ?? 0)) || 1;
  const factor = (person && scaleOf(person, sides) ? scaleOf(person, sides) : 0.27 * height) / size;
  const middles = poses.map((pose) => middleOf(pose, required)).filter(Boolean);
  const mean = (axis) => middles.reduce((sum, middle) => sum + middle[axis], 0) / (middles.length || 1);
  const [from, to] = [[mean(0), mean(1)], (person && middleOf(person, required)) ?? [height * 0.4, width / 2]];
  return poses.map((pose) =>
    pose.map((joint) =>
      isMissing(joint) ? [...MISSING] : place(...joint.map((value, axis) => to[axis] + factor * (value - from[axis]))),
    ),
  );
}

/** The pose at a time of a cycle, 0 to 1, between its poses. */
export function between(poses, time) {
  const at = (((time % 1) + 1) % 1) * poses.length;
  const [first, second] = [poses[Math.floor(at) % poses.length], poses[(Math.floor(at) + 1) % poses.length]];
  const share = at - Math.floor(at);
  return first.map((joint, row) => {
    if (isMissing(joint) || isMissing(second[row])) return [...(share < 0.5 ? joint : second[row])];
    return place(...joint.map((value, axis) => value + share * (second[row][axis] - value)));
  });
}

/** A place for a joint that was missing: as far from its parent as in a standing pose of the same size. */
export function placeFor(joint, pose, standing, tree, sides, [height, width]) {
  const parent = tree.parents[joint];
  const scale = standing && scaleOf(pose, sides) ? scaleOf(pose, sides) / scaleOf(standing, sides) : 1;
  const inside = (value, size) => Math.min(Math.max(value, 0), size - 1);
  const known = parent >= 0 && !isMissing(pose[parent]);
  if (standing && known && !isMissing(standing[joint]) && !isMissing(standing[parent])) {
    const at = (axis) => pose[parent][axis] + scale * (standing[joint][axis] - standing[parent][axis]);
    return [inside(at(0), height), inside(at(1), width)];
  }
  if (known) return [inside(pose[parent][0] + height / 12, height), inside(pose[parent][1] + width / 12, width)];
  return standing && !isMissing(standing[joint]) ? [...standing[joint]] : [height / 2, width / 2];
}
