/* Hatching for the canvas: how "not known" and "a gap" look, in every layer and in both themes. */
(function () {
  "use strict";

  /* Diagonal lines in screen pixels. The pitch divides 512, so that the lines meet at tile edges. */
  const patterns = new Map();
  function hatch(context, { color, background, pitch = 8, width = 1.6, back = false, cross = false, flat = false, upright = false }, ratio, s) {
    const key = `${color}|${background}|${pitch}|${width}|${back}|${cross}|${flat}|${upright}|${ratio}`;
    let image = patterns.get(key);
    if (!image) {
      image = document.createElement("canvas");
      const size = pitch * ratio;
      image.width = image.height = size;
      const pen = image.getContext("2d");
      if (background) { pen.fillStyle = background; pen.fillRect(0, 0, size, size); }
      pen.strokeStyle = color; pen.lineWidth = width * ratio;
      const stroke = (flip) => {
        for (const shift of [-size, 0, size]) {
          pen.beginPath();
          if (flip) { pen.moveTo(shift - 1, -1); pen.lineTo(shift + size + 1, size + 1); }
          else { pen.moveTo(shift - 1, size + 1); pen.lineTo(shift + size + 1, -1); }
          pen.stroke();
        }
      };
      if (flat) { pen.beginPath(); pen.moveTo(0, size / 2); pen.lineTo(size, size / 2); pen.stroke(); }
      else if (upright) { pen.beginPath(); pen.moveTo(size / 2, 0); pen.lineTo(size / 2, size); pen.stroke(); }
      else { stroke(back); if (cross) stroke(!back); }
      patterns.set(key, image);
    }
    const pattern = context.createPattern(image, "repeat");
    pattern.setTransform(new DOMMatrix().scale(1 / s));
    return pattern;
  }
  window.geoapp.hatch = hatch;
})();
