// Runs before the first paint, so that the page never flashes in the wrong theme. The settings screen writes the same keys.
(function () {
  var root = document.documentElement;
  try {
    var settings = JSON.parse(localStorage.getItem("netra.settings") || "{}");
    if (settings.theme === "light" || settings.theme === "dark") root.dataset.theme = settings.theme;
    if (settings.density === "compact") root.dataset.density = "compact";
  } catch (_) {
    // Storage may be closed to us; the system theme is used.
  }
})();
