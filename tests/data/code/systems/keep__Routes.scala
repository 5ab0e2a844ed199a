package org.example.routes

import scala.annotation.tailrec
import scala.collection.immutable.{Map, SortedSet}

final case class Road(to: String, minutes: Int)

/** Shortest ways through a road map, by Dijkstra. Equal ways are settled by the alphabet, so answers are stable. */
final class Atlas(roads: Map[String, List[Road]]) {

  private given Ordering[(Int, String)] = Ordering.Tuple2[Int, String]

  def shortest(from: String, to: String): Either[String, (Int, List[String])] =
    if (!roads.contains(from)) Left(s"no place is called $from")
    else {
      val (minutes, before) = explore(from)
      minutes.get(to).map(m => (m, path(to, before, Nil))).toRight(s"no road leads from $from to $to")
    }

  private def explore(from: String): (Map[String, Int], Map[String, String]) = {
    @tailrec
    def loop(
        open: SortedSet[(Int, String)],
        minutes: Map[String, Int],
        before: Map[String, String]
    ): (Map[String, Int], Map[String, String]) =
      open.headOption match {
        case None => (minutes, before)
        case Some((cost, place)) =>
          val better = for {
            road <- roads.getOrElse(place, Nil)
            total = cost + road.minutes
            if minutes.get(road.to).forall(_ > total)
          } yield road.to -> total
          val cleaned = better.foldLeft(open - ((cost, place))) { case (set, (name, _)) =>
            minutes.get(name).fold(set)(old => set - ((old, name)))
          }
          loop(
            cleaned ++ better.map { case (name, total) => (total, name) },
            minutes ++ better,
            before ++ better.map { case (name, _) => name -> place }
          )
      }
    loop(SortedSet((0, from)), Map(from -> 0), Map.empty)
  }

  @tailrec
  private def path(to: String, before: Map[String, String], tail: List[String]): List[String] =
    before.get(to) match {
      case Some(previous) => path(previous, before, to :: tail)
      case None           => to :: tail
    }
}
