/*
 * Flights from New York's three airports in the first days of January 2013: the demo's service.
 *
 * Each method is a view of several stores: flights in SQLite, airlines, airports and planes in CSV files, the
 * weather behind HTTP. Days are `2013-01-01`, times are local, `2013-01-01T05:15`, lengths of time are minutes.
 */
include "tributary.thrift"

namespace py flights
namespace java flights
namespace go flights
namespace rs flights
namespace cpp flights
namespace js flights
namespace rb Flights

/** An airport's three letters, as on a ticket: `JFK`. */
typedef string AirportCode

/** The first day there are flights of. */
const string FIRST_DAY = "2013-01-01"
/** The last day there are flights of. */
const string LAST_DAY = "2013-01-10"

/** What became of a flight. */
enum Status {
  /** It landed where it should. */
  ARRIVED = 1
  /** It left, but no arrival as planned is on record: most of these were diverted. */
  DIVERTED = 2
  /** It never left. */
  CANCELLED = 3
}

/** One flight on one day. */
struct Flight {
  /** The airline's two characters: `UA`. */
  1: required string carrier
  2: required i32 number
  3: required string day
  4: required AirportCode origin
  5: required AirportCode dest
  /** The plane's registration; absent when none was assigned. */
  6: optional string tailnum
  7: required string scheduled_departure
  8: required string scheduled_arrival
  /** Minutes; negative when early. Absent when it never left. */
  9: optional i32 departure_delay
  /** Minutes; negative when early. Absent unless it arrived. */
  10: optional i32 arrival_delay
  11: required Status status
  /** Minutes from take-off to landing. */
  12: optional i32 air_time
  /** Miles. */
  13: required i32 distance
}

/** An airline. */
struct Airline {
  /** Its two characters: `UA`. */
  1: required string carrier
  2: required string name
}

/** An airport of the United States. */
struct Airport {
  1: required AirportCode code
  2: required string name
  /** Degrees, north is positive. */
  3: required double latitude
  /** Degrees, east is positive. */
  4: required double longitude
  /** Feet above the sea. */
  5: optional i32 altitude
  /** In the words of the tz database: `America/New_York`. */
  6: optional string time_zone
}

/** What was measured at an airport in one hour. */
struct Weather {
  1: required AirportCode origin
  2: required string day
  3: required i32 hour
  /** Degrees Fahrenheit, as the dew point. */
  4: optional double temperature
  5: optional double dew_point
  /** Per cent. */
  6: optional double humidity
  /** Degrees; where the wind comes from. */
  7: optional i32 wind_direction
  /** Miles per hour, as the gust. */
  8: optional double wind_speed
  9: optional double wind_gust
  /** Inches in that hour. */
  10: optional double precipitation
  /** Millibars at sea level. */
  11: optional double pressure
  /** Miles. */
  12: optional double visibility
}

/** How a flight number has done over all the days there are. */
struct Punctuality {
  /** Flights on the schedule. */
  1: required i64 flights
  2: required i64 cancelled
  /** Minutes, over the flights that left. */
  3: optional double mean_departure_delay
  /** Minutes, over the flights that arrived. */
  4: optional double mean_arrival_delay
  /** The share of arrivals that were less than 15 minutes late: 0 to 1. */
  5: optional double on_time
}

/** A plane as the register has it. */
struct Plane {
  1: required string tailnum
  /** When it was made. */
  2: optional i32 year
  3: optional string type
  4: optional string manufacturer
  5: optional string model
  6: optional i32 engines
  7: optional i32 seats
  /** The engines' kind: `Turbo-fan`. */
  8: optional string engine
}

/** All that a traveller may want to know about one departure. */
struct Departure {
  1: required Flight flight
  /** Absent when the register does not have the flight's tail number. */
  2: optional Plane plane
  3: optional Airline airline
  4: optional Airport origin
  5: optional Airport destination
  /** At the origin in the hour of the scheduled departure. */
  6: optional Weather weather
  7: optional Punctuality punctuality
  /** Every flight of that day from the same origin to the same destination, this one too, by departure. */
  8: optional list<Flight> alternatives
  /** What happened when in this very call. */
  9: optional tributary.Report report
}

/** Flights from New York. */
service Flights {
  /** A departure as printed on a ticket: carrier, number, day, from, to, and the hour it should leave. */
  Departure getDeparture(
    1: string carrier,
    2: i32 flight,
    3: string day,
    4: AirportCode origin,
    5: AirportCode dest,
    6: i32 hour,
    7: tributary.Context context
  ) throws (
    1: tributary.InvalidRequest invalid,
    2: tributary.LookupFailed failed,
    3: tributary.DeadlineExceeded late,
    4: tributary.Overloaded busy
  )

  /** One airport. */
  Airport getAirport(1: AirportCode code, 2: tributary.Context context) throws (
    1: tributary.InvalidRequest invalid,
    2: tributary.LookupFailed failed
  )

  /** The airports of those codes that exist, by code. */
  map<AirportCode, Airport> getAirports(1: list<AirportCode> codes, 2: tributary.Context context) throws (
    1: tributary.InvalidRequest invalid,
    2: tributary.LookupFailed failed
  )

  /** The departures of a day from one airport between two hours, both included, by departure. */
  list<Flight> getBoard(
    1: AirportCode origin,
    2: string day,
    3: i32 from_hour = 0,
    4: i32 to_hour = 23,
    5: tributary.Context context
  ) throws (
    1: tributary.InvalidRequest invalid,
    2: tributary.LookupFailed failed
  )
}
