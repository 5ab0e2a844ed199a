# Fits a logistic curve to the height of seedlings and compares two kinds of soil.

read_heights <- function(path) {
  heights <- read.csv(path, stringsAsFactors = TRUE)
  needed <- c("plant", "soil", "day", "height_mm")
  missing <- setdiff(needed, names(heights))
  if (length(missing) > 0) {
    stop("columns are missing: ", paste(missing, collapse = ", "))
  }
  heights[order(heights$plant, heights$day), needed]
}

logistic <- function(day, top, rate, middle) {
  top / (1 + exp(-rate * (day - middle)))
}

fit_one <- function(rows) {
  start <- list(top = max(rows$height_mm) * 1.1, rate = 0.2, middle = median(rows$day))
  fit <- tryCatch(
    nls(height_mm ~ logistic(day, top, rate, middle), data = rows, start = start),
    error = function(e) NULL
  )
  if (is.null(fit)) {
    return(data.frame(plant = rows$plant[1], soil = rows$soil[1], top = NA, rate = NA, middle = NA))
  }
  data.frame(plant = rows$plant[1], soil = rows$soil[1], as.list(coef(fit)))
}

compare_soils <- function(heights) {
  fits <- do.call(rbind, lapply(split(heights, heights$plant), fit_one))
  fits <- fits[stats::complete.cases(fits), ]
  list(
    fits = fits,
    means = aggregate(cbind(top, rate, middle) ~ soil, data = fits, FUN = mean),
    test = wilcox.test(top ~ soil, data = fits, exact = FALSE)
  )
}

if (!interactive()) {
  arguments <- commandArgs(trailingOnly = TRUE)
  result <- compare_soils(read_heights(arguments[1]))
  print(result$means, digits = 3)
  cat("p =", format.pval(result$test$p.value), "\n")
}
