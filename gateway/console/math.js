// What the console computes itself.

const dot = (one, other) => one.reduce((sum, value, index) => sum + value * other[index], 0);
const norm = (vector) => Math.sqrt(dot(vector, vector)) || 1;

export const cosine = (one, other) => dot(one, other) / (norm(one) * norm(other));

// Blue for alike, white for unrelated, red for opposite.
export function shade(value) {
  const strength = Math.round(255 * (1 - Math.min(1, Math.abs(value))));
  return value < 0 ? `rgb(255,${strength},${strength})` : `rgb(${strength},${Math.round(127 + strength / 2)},255)`;
}

// The first two principal components, scaled into [-1, 1], from the matrix of inner products:
// texts are few and components many.
export function plane(vectors) {
  const count = vectors.length;
  const means = vectors[0].map((_, axis) => vectors.reduce((sum, vector) => sum + vector[axis], 0) / count);
  const centred = vectors.map((vector) => vector.map((value, axis) => value - means[axis]));
  const gram = centred.map((one) => centred.map((other) => dot(one, other)));
  const first = dominant(gram, 1);
  const rest = gram.map((line, i) => line.map((value, j) => value - first.size * first.axis[i] * first.axis[j]));
  const second = dominant(rest, 2);
  const points = centred.map((_, index) => [
    first.axis[index] * Math.sqrt(first.size), second.axis[index] * Math.sqrt(second.size)]);
  const largest = Math.max(1e-9, ...points.flat().map(Math.abs));
  return points.map((point) => point.map((value) => value / largest));
}

// Power iteration from a start that is the same each time.
function dominant(matrix, seed) {
  let axis = matrix.map((_, index) => Math.sin(seed * (index + 1)));
  for (let step = 0; step < 100; step += 1) {
    const next = matrix.map((line) => dot(line, axis));
    const length = Math.sqrt(dot(next, next));
    if (length < 1e-12) return { axis: matrix.map(() => 0), size: 0 };
    axis = next.map((value) => value / length);
  }
  return { axis, size: Math.max(0, dot(axis, matrix.map((line) => dot(line, axis)))) };
}

// A text in order, cut where entities begin and end. Offsets count code points, as ours do.
export function segments(text, entities) {
  const points = [...text];
  const found = [];
  let at = 0;
  for (const entity of [...entities].sort((one, other) => one.start - other.start)) {
    if (entity.start === undefined || entity.start < at) continue;
    found.push({ content: points.slice(at, entity.start).join("") });
    found.push({ content: points.slice(entity.start, entity.end).join(""), entity });
    at = entity.end;
  }
  found.push({ content: points.slice(at).join("") });
  return found.filter(({ content }) => content);
}
