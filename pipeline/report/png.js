// A chart's SVG as PNG: drawn when it is asked for, so the page holds no pixels; without scripts no link is shown.
// Three times its size: 1,200 pixels are 300 an inch in a paper's column.
for (const svg of document.querySelectorAll("a.save[download$='.svg']")) {
  const png = svg.cloneNode(), drawn = new Image();
  png.textContent = "PNG";
  png.download = svg.download.replace(/svg$/, "png");
  png.href = "#";
  png.onclick = () => {
    if (png.href.startsWith("data:")) return true; // drawn: the browser saves it
    drawn.src = svg.href;
    return false;
  };
  drawn.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = 3 * drawn.width;
    canvas.height = 3 * drawn.height;
    canvas.getContext("2d").drawImage(drawn, 0, 0, canvas.width, canvas.height);
    png.href = canvas.toDataURL("image/png");
    png.click();
  };
  drawn.onerror = () => png.replaceWith("This browser draws no PNG of it; take the SVG.");
  svg.after(png);
}
