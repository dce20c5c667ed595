//! A connection to the program that says what it is told, byte for byte.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::yard::{self, Answer};

pub struct Wire<S>(BufReader<S>);

impl Wire<TcpStream> {
    pub fn to(address: SocketAddr) -> Self {
        Self::over(yard::connect(address))
    }

    /// Sends a byte, again and again with this pause, until the other side says something or
    /// closes; gives what it says. The pause is the time that the other side has to say it.
    pub fn drip(mut self, byte: u8, pause: Duration) -> Vec<u8> {
        self.0.get_ref().set_read_timeout(Some(pause)).unwrap();
        let mut said = vec![0; 4096];
        loop {
            match self.0.read(&mut said) {
                Ok(length) => {
                    said.truncate(length);
                    return said;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            // What is sent after the last word is lost.
            let _sent = self.try_send([byte]);
        }
    }
}

impl<S: Read + Write> Wire<S> {
    pub fn over(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// Sends what the other side may cut short.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())?;
        self.0.get_mut().flush()
    }

    /// The next answer.
    pub fn answer(&mut self) -> Answer {
        Answer::read(&mut self.0).unwrap()
    }

    /// Everything up to the end of the connection, however it ends.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut rest) {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
        }
        String::from_utf8_lossy(&rest).into_owned()
    }
}
